"""Which merchant account takes an operation."""

from __future__ import annotations

from collections.abc import Iterable

from farebox.domain.errors import ErrorCode, InvalidRequest
from farebox.domain.merchants import MerchantAccount


def choose_account(accounts: Iterable[MerchantAccount], currency: str) -> MerchantAccount:
    """Give the first account that takes the currency; accounts come in order of creation.

    Raises:
        InvalidRequest: `currency_unsupported` when there is none.
    """
    for account in accounts:
        if not account.currencies or currency in account.currencies:
            return account
    raise InvalidRequest(ErrorCode.CURRENCY_UNSUPPORTED, param="currency")
