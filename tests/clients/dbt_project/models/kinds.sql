{{ config(materialized='view') }}
select kind, count(*) as n from {{ ref('animals') }} group by kind
