{{ config(materialized='incremental', unique_key='id') }}
select id, name, current_timestamp() as seen from {{ ref('animals') }}
{% if is_incremental() %} where id > 1 {% endif %}
