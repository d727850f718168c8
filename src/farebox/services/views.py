"""Payments as their merchants see them, put together inside a unit of work."""

from __future__ import annotations

from farebox.domain.errors import ErrorCode, NotFound
from farebox.domain.operations import Operation
from farebox.domain.payments import Payment
from farebox.ports.storage import UnitOfWork
from farebox.services.commands import PaymentView, StoredTokenView


async def payment_view(uow: UnitOfWork, payment: Payment, operation: Operation | None = None) -> PaymentView:
    """Add a payment's operations and the credential it stored."""
    operations = await uow.operations.of_payment(payment.tenant, payment.id)
    saved, also_saved = None, list[StoredTokenView]()
    if payment.saved_token_id is not None:
        for token in await uow.stored_tokens.of_payment(payment.tenant, payment.id):
            if token.id == payment.saved_token_id:
                saved = StoredTokenView(token)
            else:
                also_saved.append(StoredTokenView(token))
    credential = None
    if payment.stored_token_id is not None:
        token = await uow.stored_tokens.find_by_id(payment.tenant, payment.stored_token_id)
        credential = StoredTokenView(token) if token else None
    return PaymentView(
        payment,
        operations,
        saved=saved,
        also_saved=also_saved,
        operation=operation,
        credential=credential,
    )


async def payment_view_of_operation(uow: UnitOfWork, operation: Operation) -> PaymentView:
    """Show the payment an operation belongs to.

    Raises:
        NotFound: `payment_not_found`.
    """
    payment = await uow.payments.find(operation.tenant, operation.payment_id)
    if payment is None:
        raise NotFound(ErrorCode.PAYMENT_NOT_FOUND)
    return await payment_view(uow, payment, operation)
