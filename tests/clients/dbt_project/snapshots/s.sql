{% snapshot animals_snapshot %}
{{ config(target_schema='dbt_zoo', unique_key='id', strategy='check', check_cols=['name']) }}
select * from {{ ref('animals') }}
{% endsnapshot %}
