"""Every table is known to the export: it goes with a tenant, or is left out with a reason."""

from deploy.transfer import tables
from libs.schema import metadata


def test_each_table_that_is_left_out_exists_and_has_a_reason() -> None:
    assert set(tables.LEFT_OUT) <= set(metadata.tables)
    assert all(reason for reason in tables.LEFT_OUT.values())


def test_each_table_that_goes_with_a_tenant_names_it() -> None:
    for table in tables.carried():
        assert tables.tenant_column(table) in table.columns, (
            f"{table.fullname} has no tenant: give it one, or say in LEFT_OUT why it stays"
        )
        assert f"WHERE {tables.tenant_column(table)} = $1" in tables.selection(table)


def test_referred_tables_come_first() -> None:
    names = [table.fullname for table in tables.carried()]

    for table in tables.carried():
        for key in table.foreign_keys:
            other = key.column.table.fullname
            assert other in names, f"{table.fullname} refers to {other}, which is left out"
            assert names.index(other) <= names.index(table.fullname)


def test_leases_stay() -> None:
    for name, columns in tables.EMPTIED.items():
        table = metadata.tables[name]

        assert all(table.columns[column].nullable for column in columns)
        assert columns.isdisjoint(tables.columns_of(table))
    leases = {
        f"{table.fullname}.{column.name}"
        for table in tables.carried()
        for column in table.columns
        if "lease" in column.name and column.name not in tables.EMPTIED.get(table.fullname, ())
    }
    assert leases == set()
