{{ config(materialized='view') }}
select kind, count(*) as n from {{ ref('named') }} group by kind
