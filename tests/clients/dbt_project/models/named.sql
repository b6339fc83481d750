{{ config(materialized='ephemeral') }}
select id, name, kind from {{ ref('animals') }} where name is not null
