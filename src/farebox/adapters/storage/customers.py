"""Customers and agreements in SQL."""

from __future__ import annotations

from typing import LiteralString

import msgspec

from farebox.adapters.storage.connection import (
    Connection,
    Row,
    Value,
    from_us,
    optional_from_us,
    optional_us,
    read_facts,
    to_json,
    to_us,
)
from farebox.adapters.storage.paging import Filter, page_of
from farebox.domain.access import Mode, Tenant
from farebox.domain.credentials_on_file import Agreement, AgreementState
from farebox.domain.customers import Customer
from farebox.domain.ids import AgreementId, CustomerId, MerchantId
from farebox.domain.operations import Reason
from farebox.ports.storage import Page, PageRequest

_CUSTOMER: LiteralString = (
    "id, merchant_id, mode, created_at, reference, name, email, phone, metadata, deleted_at, version, facts"
)
INSERT_CUSTOMER: LiteralString = (
    f"INSERT INTO customer ({_CUSTOMER}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
)
PAGE_CUSTOMERS: LiteralString = (
    f"SELECT {_CUSTOMER} FROM customer WHERE merchant_id = $1 AND mode = $2 AND deleted_at IS NULL"
)
FIND_CUSTOMER: LiteralString = PAGE_CUSTOMERS + " AND id = $3"
UPDATE_CUSTOMER: LiteralString = (
    "UPDATE customer SET reference = $1, name = $2, email = $3, phone = $4, metadata = $5, deleted_at = $6,"
    " facts = $7, version = version + 1 WHERE id = $8 AND merchant_id = $9 AND mode = $10 AND version = $11"
)
_CUSTOMER_FILTERS = {"reference": Filter("reference"), "email": Filter("email")}

_AGREEMENT: LiteralString = (
    "id, merchant_id, mode, state, reason, consented_at, created_at, customer_id, network_transaction_id,"
    " reference, description, metadata, version"
)
INSERT_AGREEMENT: LiteralString = (
    f"INSERT INTO agreement ({_AGREEMENT}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
)
PAGE_AGREEMENTS: LiteralString = f"SELECT {_AGREEMENT} FROM agreement WHERE merchant_id = $1 AND mode = $2"
FIND_AGREEMENT: LiteralString = PAGE_AGREEMENTS + " AND id = $3"
UPDATE_AGREEMENT: LiteralString = (
    "UPDATE agreement SET state = $1, network_transaction_id = $2, reference = $3, description = $4,"
    " metadata = $5, version = version + 1"
    " WHERE id = $6 AND merchant_id = $7 AND mode = $8 AND version = $9"
)
_AGREEMENT_FILTERS = {"customer_id": Filter("customer_id"), "state": Filter("state")}

_metadata = msgspec.json.Decoder(dict[str, str])


class Customers:
    """Implements `ports.storage.Customers`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, customer: Customer) -> None:
        """Store a customer."""
        await self._connection.execute(
            INSERT_CUSTOMER,
            (
                customer.id,
                *_owner(customer.tenant),
                to_us(customer.created_at),
                customer.reference,
                customer.name,
                customer.email,
                customer.phone,
                to_json(customer.metadata),
                optional_us(customer.deleted_at),
                customer.version,
                to_json(customer.facts),
            ),
        )

    async def find(self, tenant: Tenant, customer_id: CustomerId) -> Customer | None:
        """Give a customer unless deleted."""
        row = await self._connection.fetch_one(FIND_CUSTOMER, (*_owner(tenant), customer_id))
        return _customer(row) if row else None

    async def update(self, customer: Customer) -> bool:
        """Write a customer where the version is the one given."""
        changed = await self._connection.execute(
            UPDATE_CUSTOMER,
            (
                customer.reference,
                customer.name,
                customer.email,
                customer.phone,
                to_json(customer.metadata),
                optional_us(customer.deleted_at),
                to_json(customer.facts),
                customer.id,
                *_owner(customer.tenant),
                customer.version,
            ),
        )
        return changed == 1

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Customer]:
        """List customers, newest first."""
        return await page_of(self._connection, PAGE_CUSTOMERS, _CUSTOMER_FILTERS, tenant, page, _customer)


class Agreements:
    """Implements `ports.storage.Agreements`."""

    def __init__(self, connection: Connection) -> None:
        """Bind to a transaction."""
        self._connection = connection

    async def insert(self, agreement: Agreement) -> None:
        """Store an agreement."""
        await self._connection.execute(
            INSERT_AGREEMENT,
            (
                agreement.id,
                *_owner(agreement.tenant),
                agreement.state,
                agreement.reason,
                to_us(agreement.consented_at),
                to_us(agreement.created_at),
                agreement.customer_id,
                agreement.network_transaction_id,
                agreement.reference,
                agreement.description,
                to_json(agreement.metadata),
                agreement.version,
            ),
        )

    async def find(self, tenant: Tenant, agreement_id: AgreementId) -> Agreement | None:
        """Give an agreement."""
        row = await self._connection.fetch_one(FIND_AGREEMENT, (*_owner(tenant), agreement_id))
        return _agreement(row) if row else None

    async def update(self, agreement: Agreement) -> bool:
        """Write an agreement where the version is the one given."""
        changed = await self._connection.execute(
            UPDATE_AGREEMENT,
            (
                agreement.state,
                agreement.network_transaction_id,
                agreement.reference,
                agreement.description,
                to_json(agreement.metadata),
                agreement.id,
                *_owner(agreement.tenant),
                agreement.version,
            ),
        )
        return changed == 1

    async def page(self, tenant: Tenant, page: PageRequest) -> Page[Agreement]:
        """List agreements, newest first."""
        return await page_of(self._connection, PAGE_AGREEMENTS, _AGREEMENT_FILTERS, tenant, page, _agreement)


def _owner(tenant: Tenant) -> tuple[Value, Value]:
    return tenant.merchant_id, tenant.mode


def _customer(row: Row) -> Customer:
    return Customer(
        id=CustomerId(row[0]),
        tenant=Tenant(MerchantId(row[1]), Mode(row[2])),
        created_at=from_us(row[3]),
        reference=row[4],
        name=row[5],
        email=row[6],
        phone=row[7],
        metadata=_metadata.decode(row[8]),
        deleted_at=optional_from_us(row[9]),
        version=row[10],
        facts=read_facts(row[11]),
    )


def _agreement(row: Row) -> Agreement:
    return Agreement(
        id=AgreementId(row[0]),
        tenant=Tenant(MerchantId(row[1]), Mode(row[2])),
        state=AgreementState(row[3]),
        reason=Reason(row[4]),
        consented_at=from_us(row[5]),
        created_at=from_us(row[6]),
        customer_id=CustomerId(row[7]) if row[7] else None,
        network_transaction_id=row[8],
        reference=row[9],
        description=row[10],
        metadata=_metadata.decode(row[11]),
        version=row[12],
    )
