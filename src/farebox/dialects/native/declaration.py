"""The native API, declared."""

from __future__ import annotations

from farebox.dialects.dialect import BearerKey, Dialect, InHeader, NoBody, NoQuery, Route
from farebox.dialects.native import mapping, wire
from farebox.dialects.native.errors import ERRORS, write_error
from farebox.domain.tokens import TokenRules

_TOKENS = "/v1/single_use_tokens"
_PAYMENTS = "/v1/payments"
_STORED = "/v1/payment_tokens"
_AGREEMENTS = "/v1/agreements"
_CUSTOMERS = "/v1/customers"

NATIVE = Dialect(
    name="native",
    title="Farebox",
    authentication=BearerKey(),
    idempotency=InHeader(b"idempotency-key"),
    tokens=TokenRules(),
    errors=ERRORS,
    write_error=write_error,
    error_media_type=b"application/problem+json",
    routes=(
        Route(
            "POST", _TOKENS, wire.MintIn, NoQuery, mapping.read_mint, mapping.write_single_use_token,
            summary="Mint a single-use token", status=201, is_idempotent=True,
        ),
        Route(
            "GET", _TOKENS + "/{token}", NoBody, NoQuery, mapping.read_look, mapping.write_single_use_token,
            summary="Look at a single-use token without spending it",
        ),
        Route(
            "DELETE", _TOKENS + "/{token}", NoBody, NoQuery, mapping.read_revoke, mapping.write_single_use_token,
            summary="Revoke a single-use token",
        ),
        Route(
            "POST", "/v1/verifications", wire.VerifyIn, NoQuery, mapping.read_verify, mapping.write_payment,
            summary="Verify an instrument without spending its token", status=201, is_idempotent=True,
        ),
        Route(
            "GET", "/v1/verifications/{payment_id}", NoBody, NoQuery, mapping.read_payment, mapping.write_payment,
            summary="Show a verification",
        ),
        Route(
            "POST", _PAYMENTS, wire.PayIn, NoQuery, mapping.read_pay, mapping.write_payment,
            summary="Make a payment", status=201, is_idempotent=True,
        ),
        Route(
            "GET", _PAYMENTS, NoBody, wire.PaymentQuery, mapping.read_payments, mapping.write_payments,
            summary="List payments",
        ),
        Route(
            "GET", _PAYMENTS + "/{payment_id}", NoBody, NoQuery, mapping.read_payment, mapping.write_payment,
            summary="Show a payment",
        ),
        Route(
            "POST", _PAYMENTS + "/{payment_id}/capture", wire.FollowUpIn, NoQuery,
            mapping.read_capture, mapping.write_payment,
            summary="Capture an authorization, whole or in part", status=201, is_idempotent=True,
        ),
        Route(
            "POST", _PAYMENTS + "/{payment_id}/void", wire.VoidIn, NoQuery,
            mapping.read_void, mapping.write_payment,
            summary="Void what is not settled", status=201, is_idempotent=True,
        ),
        Route(
            "POST", _PAYMENTS + "/{payment_id}/refunds", wire.FollowUpIn, NoQuery,
            mapping.read_refund, mapping.write_payment,
            summary="Refund what was captured, whole or in part", status=201, is_idempotent=True,
        ),
        Route(
            "POST", "/v1/credits", wire.CreditIn, NoQuery, mapping.read_credit, mapping.write_payment,
            summary="Pay out to an instrument", status=201, is_idempotent=True,
        ),
        Route(
            "GET", "/v1/credits/{payment_id}", NoBody, NoQuery, mapping.read_payment, mapping.write_payment,
            summary="Show a credit",
        ),
        Route(
            "POST", _STORED, wire.StoreIn, NoQuery, mapping.read_store, mapping.write_stored_token,
            summary="Turn a single-use token into a stored one", status=201, is_idempotent=True,
        ),
        Route(
            "GET", _STORED, NoBody, wire.StoredTokenQuery,
            mapping.read_stored_tokens, mapping.write_stored_tokens,
            summary="List payment tokens and recurrence tokens",
        ),
        Route(
            "GET", _STORED + "/{payment_token}", NoBody, NoQuery,
            mapping.read_stored_token, mapping.write_stored_token,
            summary="Show a stored token, by id or string",
        ),
        Route(
            "PATCH", _STORED + "/{payment_token}", wire.StoredTokenUpdateIn, NoQuery,
            mapping.read_stored_token_update, mapping.write_stored_token,
            summary="Change label, customer, expiry or metadata of a stored token",
        ),
        Route(
            "DELETE", _STORED + "/{payment_token}", NoBody, NoQuery,
            mapping.read_stored_token_deletion, mapping.write_stored_token,
            summary="Erase a stored token",
        ),
        Route(
            "POST", _AGREEMENTS, wire.AgreementIn, NoQuery,
            mapping.read_agreement_in, mapping.write_agreement,
            summary="Record an agreement", status=201, is_idempotent=True,
        ),
        Route(
            "GET", _AGREEMENTS, NoBody, wire.AgreementQuery,
            mapping.read_agreements, mapping.write_agreements,
            summary="List agreements",
        ),
        Route(
            "GET", _AGREEMENTS + "/{agreement_id}", NoBody, NoQuery,
            mapping.read_agreement, mapping.write_agreement,
            summary="Show an agreement",
        ),
        Route(
            "POST", _AGREEMENTS + "/{agreement_id}/end", NoBody, NoQuery,
            mapping.read_agreement_end, mapping.write_agreement,
            summary="End an agreement", is_idempotent=True,
        ),
        Route(
            "POST", _CUSTOMERS, wire.CustomerIn, NoQuery, mapping.read_customer_in, mapping.write_customer,
            summary="Store a customer", status=201, is_idempotent=True,
        ),
        Route(
            "GET", _CUSTOMERS, NoBody, wire.CustomerQuery, mapping.read_customers, mapping.write_customers,
            summary="List customers",
        ),
        Route(
            "GET", _CUSTOMERS + "/{customer_id}", NoBody, NoQuery,
            mapping.read_customer, mapping.write_customer,
            summary="Show a customer",
        ),
        Route(
            "PATCH", _CUSTOMERS + "/{customer_id}", wire.CustomerUpdateIn, NoQuery,
            mapping.read_customer_update, mapping.write_customer,
            summary="Change a customer",
        ),
        Route(
            "DELETE", _CUSTOMERS + "/{customer_id}", NoBody, NoQuery,
            mapping.read_customer_deletion, mapping.write_customer,
            summary="Delete a customer and every credential stored for them",
        ),
        Route(
            "GET", "/v1/events", NoBody, wire.EventQuery, mapping.read_events, mapping.write_events,
            summary="List events",
        ),
        Route(
            "GET", "/v1/events/{event_id}", NoBody, NoQuery, mapping.read_event, mapping.write_event,
            summary="Show an event",
        ),
        Route(
            "POST", "/v1/sandbox/clock", wire.ClockIn, NoQuery, mapping.read_clock, mapping.write_clock,
            summary="Move this merchant's clock forward (test mode)", is_idempotent=True,
        ),
        Route(
            "POST", "/v1/sandbox/faults", wire.FaultIn, NoQuery, mapping.read_fault, mapping.write_fault,
            summary="Script trouble at the sandbox acquirer (test mode)", status=201, is_idempotent=True,
        ),
        Route(
            "DELETE", "/v1/sandbox/faults", NoBody, NoQuery, mapping.read_no_faults, mapping.write_nothing,
            summary="Forget scripted trouble (test mode)", status=204,
        ),
        Route(
            "POST", "/v1/sandbox/batches/close", NoBody, NoQuery,
            mapping.read_batch_close, mapping.write_batch,
            summary="Close the sandbox acquirer's batch (test mode)", is_idempotent=True,
        ),
    ),
)
