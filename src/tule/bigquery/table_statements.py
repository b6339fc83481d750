"""Statements about tables that already are: snapshots and clones, row access policies, options of views and schemas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tule.bigquery import collations, schemas
from tule.bigquery.datasets import Datasets
from tule.bigquery.definitions import ddl, described_table
from tule.bigquery.deleted_datasets import DeletedDatasets
from tule.bigquery.errors import already_exists, invalid_query, not_found, not_implemented
from tule.bigquery.history import microseconds
from tule.bigquery.jobs import Outcome
from tule.bigquery.options import SCHEMA, VIEW, described
from tule.bigquery.references import DatasetReference, TableReference
from tule.bigquery.row_policies import RowPolicies
from tule.bigquery.snapshots import Snapshots
from tule.bigquery.sql.statements import ColumnChange
from tule.bigquery.sql.table_definitions import (
    AlterSchema,
    AlterView,
    CopyTable,
    CreateRowAccessPolicy,
    DropRowAccessPolicy,
    UndropSchema,
)
from tule.bigquery.tables import VIEW as VIEW_TYPE
from tule.bigquery.tables import Tables, not_a_table


class TableStatements:
    """Runs them."""

    def __init__(
        self,
        datasets: Datasets,
        tables: Tables,
        snapshots: Snapshots,
        policies: RowPolicies,
        deleted: DeletedDatasets,
    ) -> None:
        self._datasets = datasets
        self._tables = tables
        self._snapshots = snapshots
        self._policies = policies
        self._deleted = deleted

    def copy(self, statement: CopyTable, moment: Callable[[Any], datetime]) -> Outcome:
        """CREATE SNAPSHOT TABLE and CREATE TABLE ... CLONE; ``moment`` reads a constant."""
        target, source = _table(statement.target), _table(statement.source)
        self._datasets.check(target.parent)
        existed = self._tables.find(target) is not None
        if existed and statement.if_not_exists:
            return Outcome({"query": ddl("SKIP", target)})
        at = None if statement.at is None else microseconds(moment(statement.at))
        outcome, _ = self._snapshots.copied(
            "SNAPSHOT" if statement.kind == "CREATE_SNAPSHOT_TABLE" else "CLONE", source, at, target,
            described=described_table(statement.options), replace=statement.replace,
        )  # fmt: skip
        outcome.statistics = {"query": ddl("REPLACE" if existed else "CREATE", target)}
        return outcome

    # -- row access policies

    def create_policy(self, statement: CreateRowAccessPolicy) -> Outcome:
        target = _table(statement.target)
        existed = self._policies.exists(target, statement.policy)
        if existed and statement.if_not_exists:
            return Outcome({"query": _policy("SKIP", target, statement.policy)})
        if existed and not statement.replace:
            raise already_exists("Row access policy", f"{statement.policy} on table {target}")

        def commit() -> None:
            self._policies.create(
                target, statement.policy, statement.filter, statement.grantees, replace=statement.replace
            )

        # Looked at before: what is wrong is the job's error, not its end's.
        self._policies.checked(target, statement.policy, statement.filter, statement.grantees)
        about = _policy("REPLACE" if existed and statement.replace else "CREATE", target, statement.policy)
        return Outcome({"query": about}, commit=commit)

    def drop_policy(self, statement: DropRowAccessPolicy) -> Outcome:
        target = _table(statement.target)
        self._tables.record(target)
        if not statement.policy:
            about = {"ddlOperationPerformed": "DROP", "ddlAffectedRowAccessPolicyCount": "0"}

            def drop() -> None:
                about["ddlAffectedRowAccessPolicyCount"] = str(self._policies.delete_all(target))

            return Outcome({"query": {**about, "ddlTargetTable": target.json()}}, commit=drop)
        if not self._policies.exists(target, statement.policy):
            if statement.if_exists:
                return Outcome({"query": _policy("SKIP", target, statement.policy)})
            raise not_found("Row access policy", f"{statement.policy} on table {target}")
        return Outcome(
            {"query": _policy("DROP", target, statement.policy)},
            commit=lambda: self._policies.delete(target, statement.policy),
        )

    # -- views and schemas

    def alter_view(self, statement: AlterView) -> Outcome:
        target = _table(statement.target)
        record = self._tables.find(target)
        if record is None:
            if statement.if_exists:
                return Outcome({"query": ddl("SKIP", target)})
            raise self._tables.missing(target)
        if record.body["type"] != VIEW_TYPE:
            raise not_a_table(target, record.body["type"])
        change = described(statement.options, VIEW, clears=True)
        if statement.columns:
            change["schema"] = {"fields": _described(record.body["schema"]["fields"], statement.columns)}
        return Outcome({"query": ddl("ALTER", target)}, commit=lambda: _ignore(self._tables.patch(target, change)))

    def alter_schema(self, statement: AlterSchema) -> Outcome:
        target = DatasetReference(statement.project, statement.dataset)
        about: dict[str, Any] = {"ddlTargetDataset": target.json()}
        if self._datasets.find(target) is None:
            if statement.if_exists:
                return Outcome({"query": {"ddlOperationPerformed": "SKIP", **about}})
            raise not_found("Dataset", target)
        change = described(statement.options, SCHEMA, clears=True)
        if statement.collation is not None:
            change["defaultCollation"] = collations.checked(statement.collation, "a dataset's new tables") or None
        if "location" in change:
            raise invalid_query("The location of a dataset cannot be changed after it was created")
        return Outcome(
            {"query": {"ddlOperationPerformed": "ALTER", **about}},
            commit=lambda: _ignore(self._datasets.patch(target, change)),
        )

    def undrop_schema(self, statement: UndropSchema) -> Outcome:
        target = DatasetReference(statement.project, statement.dataset)
        about: dict[str, Any] = {"ddlTargetDataset": target.json()}
        if self._datasets.find(target) is not None and statement.if_not_exists:
            return Outcome({"query": {"ddlOperationPerformed": "SKIP", **about}})
        self._deleted.check(target)
        return Outcome(
            {"query": {"ddlOperationPerformed": "CREATE", **about}}, commit=lambda: self._deleted.restore(target)
        )


def _described(fields: list[schemas.JsonField], columns: tuple[ColumnChange, ...]) -> list[schemas.JsonField]:
    made = [dict(each) for each in fields]
    for each in columns:
        found = schemas.find(made, each.column)
        if found is None:
            if each.if_exists:
                continue
            raise invalid_query(f"Column not found: {each.column}")
        if each.options is None or each.options.keys() - {"description"}:
            raise not_implemented("ALTER COLUMN of a view other than SET OPTIONS(description)", do="replace the view")
        found["description"] = str(each.options.get("description") or "")
    return made


def _policy(operation: str, table: TableReference, policy: str) -> Mapping[str, Any]:
    return {
        "ddlOperationPerformed": operation,
        "ddlTargetTable": table.json(),
        "ddlTargetRowAccessPolicy": {**table.json(), "policyId": policy},
    }


def _table(name: Any) -> TableReference:
    return TableReference(name.project, name.dataset, name.table).checked()


def _ignore(_: Any) -> None:
    return None
