"""Two migrations, one schema; and statements that bind the same way on both engines."""

from __future__ import annotations

import importlib
import pkgutil
import re

import pytest

import farebox.adapters.storage as package

_TYPES = {"bigint": "INTEGER", "integer": "INTEGER", "bytea": "BLOB", "text": "TEXT"}
ONLY_SQLITE = {"high_water"}
"""SQLite's own guard against a clock that is stepped back; PostgreSQL's clock is its server's."""


async def _sqlite(sql) -> tuple[dict, dict, set]:
    tables = [name for (name,) in await sql("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    columns, indexes = {}, {}
    for table in tables:
        if table in ONLY_SQLITE or table.startswith("sqlite_"):
            continue
        for _, name, type_, not_null, *_ in await sql(f"PRAGMA table_info({table})"):
            columns[table, name] = (type_, bool(not_null))
        for _, name, unique, origin, partial in await sql(f"PRAGMA index_list({table})"):
            if origin == "pk":
                continue
            names = tuple(row[2] for row in await sql(f"PRAGMA index_info({name})"))
            indexes[name] = (table, bool(unique), names, bool(partial))
    triggers = {name for (name,) in await sql("SELECT name FROM sqlite_schema WHERE type = 'trigger'")}
    return columns, indexes, triggers


async def _postgres(sql) -> tuple[dict, dict, set]:
    columns = {
        (table, name): (_TYPES[type_], nullable == "NO")
        for table, name, type_, nullable in await sql(
            "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'public'"
        )
    }
    indexes = {
        name: (table, unique, tuple(names), partial)
        for name, table, unique, partial, names in await sql(
            "SELECT i.relname, t.relname, x.indisunique, x.indpred IS NOT NULL,"
            " array(SELECT a.attname::text FROM unnest(x.indkey) WITH ORDINALITY AS k(n, o)"
            "       JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.n ORDER BY k.o)"
            " FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid"
            " JOIN pg_namespace s ON s.oid = t.relnamespace"
            " WHERE s.nspname = 'public' AND NOT x.indisprimary"
        )
    }
    triggers = {name for (name,) in await sql("SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal")}
    return columns, indexes, triggers


@pytest.fixture
async def schemas(tmp_path, postgres) -> tuple:
    """Both engines' migrated schemas."""
    from tests.conformance.conftest import _postgres_door, _sqlite_door

    from farebox.adapters.storage.schema import migrate

    path = tmp_path / "schema.sqlite3"
    await migrate(f"sqlite:///{path}", lambda step: None)
    await _postgres_door(postgres)("DROP DATABASE IF EXISTS schema_comparison")
    await _postgres_door(postgres)("CREATE DATABASE schema_comparison")
    url = postgres.replace("/postgres?", "/schema_comparison?")
    await migrate(url, lambda step: None)
    return await _sqlite(_sqlite_door(path)), await _postgres(_postgres_door(url))


async def test_both_engines_have_one_schema(schemas) -> None:
    """Tables, columns, types, nullability, indexes, uniqueness, partiality and triggers agree."""
    (columns, indexes, triggers), (pg_columns, pg_indexes, pg_triggers) = schemas
    assert columns == pg_columns
    assert indexes == pg_indexes
    assert triggers == pg_triggers
    assert len(columns) > 100
    assert len(indexes) > 15


def _statements() -> list[tuple[str, str]]:
    found = []
    for module_info in pkgutil.iter_modules(package.__path__):
        if module_info.name in {"postgres", "sqlite", "schema"}:
            continue
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        for name, value in vars(module).items():
            if isinstance(value, str) and re.match(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", value):
                found.append((f"{module_info.name}.{name}", value))
    return found


@pytest.mark.parametrize(("name", "statement"), _statements())
def test_parameters_appear_in_order(name: str, statement: str) -> None:
    """`$1, $2, …` by first appearance: SQLite numbers them so, PostgreSQL by name; a tuple fits both."""
    seen = list(dict.fromkeys(int(number) for number in re.findall(r"\$(\d+)", statement)))
    assert seen == list(range(1, len(seen) + 1)), name
