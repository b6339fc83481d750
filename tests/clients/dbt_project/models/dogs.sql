{{ config(materialized='table', cluster_by=['kind'], partition_by={'field':'born','data_type':'date'}) }}
select id, name, kind, born from {{ ref('animals') }} where kind = 'dog'
