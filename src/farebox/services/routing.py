"""Which processor takes a merchant's operation."""

from __future__ import annotations

from collections.abc import Mapping

from farebox.domain.access import Tenant
from farebox.domain.errors import ErrorCode, Forbidden, InvalidRequest
from farebox.domain.merchants import MerchantAccount
from farebox.domain.routing import choose_account
from farebox.ports.processors import Processor
from farebox.ports.storage import Storage
from farebox.ports.system import Clock

_REMEMBER_S = 1.0


class Routing:
    """Finds the processor, remembering a merchant's accounts for a second."""

    def __init__(self, processors: Mapping[str, Processor], storage: Storage, clock: Clock) -> None:
        """Take the processors by name."""
        self._processors = processors
        self._storage = storage
        self._clock = clock
        self._accounts: dict[Tenant, tuple[float, tuple[MerchantAccount, ...]]] = {}

    async def route(self, tenant: Tenant, currency: str) -> Processor:
        """Give the processor for a payment in this currency.

        Raises:
            InvalidRequest: `currency_unsupported` when no account of the merchant takes it.
            Forbidden: `mode_mismatch` when the account's processor does not serve the merchant's mode.
        """
        account = choose_account(await self._accounts_of(tenant), currency)
        processor = self.named(account.processor)
        if tenant.mode not in processor.capabilities.modes:
            raise Forbidden(ErrorCode.MODE_MISMATCH)
        return processor

    def named(self, name: str) -> Processor:
        """Give the processor an operation was made with.

        Raises:
            InvalidRequest: `operation_unsupported` when it is no longer configured.
        """
        processor = self._processors.get(name)
        if processor is None:
            raise InvalidRequest(ErrorCode.OPERATION_UNSUPPORTED)
        return processor

    async def _accounts_of(self, tenant: Tenant) -> tuple[MerchantAccount, ...]:
        now = self._clock.monotonic()
        known = self._accounts.get(tenant)
        if known is None or known[0] < now:
            accounts = tuple(await self._storage.read(lambda uow: uow.merchants.accounts(tenant)))
            known = (now + _REMEMBER_S, accounts)
            self._accounts[tenant] = known
        return known[1]
