"""Payment plans, subscriptions, payment links, sharing events and event subscriptions."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import msgspec

from farebox.dialects.payroc.wire.common import (
    Amount,
    Charge,
    Currency,
    CustomField,
    Day,
    Facts,
    MitAgreement,
    Name,
    Operator,
    OrderId,
    PageQuery,
    SecureTokenSummary,
    SimpleBreakdown,
    Summary,
    Text,
    Wire,
)
from farebox.dialects.payroc.wire.common import Link as LinkOut
from farebox.dialects.payroc.wire.instruments import SecureTokenPayload

PlanType = Literal["manual", "automatic"]
FrequencyText = Literal["weekly", "fortnightly", "monthly", "quarterly", "yearly"]
Count = Annotated[int, msgspec.Meta(ge=0, le=10_000)]
Status = Literal["active", "completed", "suspended", "cancelled"]


class PlanOrder(Wire, frozen=True, kw_only=True):
    amount: Amount | None = None
    description: Text | None = None
    breakdown: SimpleBreakdown | None = None


class PlanIn(Wire, frozen=True, kw_only=True):
    payment_plan_id: Name
    name: Name
    currency: Currency
    type: PlanType
    frequency: FrequencyText
    on_update: Literal["update", "continue"]
    on_delete: Literal["complete", "continue"]
    description: Text | None = None
    length: Count | None = None
    custom_field_names: list[Text] | None = None
    setup_order: PlanOrder | None = None
    recurring_order: PlanOrder | None = None


class PatchedPlan(Wire, frozen=True, kw_only=True):
    name: Name
    currency: Currency
    type: PlanType
    frequency: FrequencyText
    on_update: Literal["update", "continue"]
    on_delete: Literal["complete", "continue"]
    description: Text | None = None
    length: Count | None = None
    custom_field_names: list[Text] | None = None
    setup_order: PlanOrder | None = None
    recurring_order: PlanOrder | None = None


class PlanOut(Wire, frozen=True, kw_only=True):
    payment_plan_id: str
    processing_terminal_id: str
    name: str
    description: str | None = None
    currency: str
    length: int | None = None
    type: str
    frequency: str
    on_update: str
    on_delete: str
    custom_field_names: list[str] | None = None
    setup_order: Facts | None = None
    recurring_order: Facts | None = None


class SetupOrder(Wire, frozen=True, kw_only=True):
    order_id: OrderId | None = None
    amount: Amount | None = None
    description: Text | None = None
    breakdown: SimpleBreakdown | None = None


class SubscriptionIn(Wire, frozen=True, kw_only=True):
    subscription_id: Name
    payment_plan_id: Name
    payment_method: SecureTokenPayload
    start_date: Day
    name: Name | None = None
    description: Text | None = None
    setup_order: SetupOrder | None = None
    recurring_order: PlanOrder | None = None
    end_date: Day | None = None
    length: Count | None = None
    pause_collection_for: Count | None = None
    custom_fields: list[CustomField] | None = None


class PatchedSubscription(Wire, frozen=True, kw_only=True):
    name: Name
    start_date: Day
    description: Text | None = None
    setup_order: SetupOrder | None = None
    recurring_order: PlanOrder | None = None
    end_date: Day | None = None
    length: Count | None = None
    pause_collection_for: Count | None = None
    custom_fields: list[CustomField] | None = None


class PlanSummary(Wire, frozen=True, kw_only=True):
    payment_plan_id: str
    name: str
    link: LinkOut | None = None


class CurrentState(Wire, frozen=True, kw_only=True):
    status: str
    next_due_date: str | None = None
    paid_invoices: int
    outstanding_invoices: int | None = None


class SubscriptionOut(Wire, frozen=True, kw_only=True):
    subscription_id: str
    processing_terminal_id: str
    payment_plan: PlanSummary
    secure_token: SecureTokenSummary
    name: str
    description: str | None = None
    currency: str
    setup_order: Facts | None = None
    recurring_order: Facts | None = None
    current_state: CurrentState
    start_date: str
    end_date: str | None = None
    length: int | None = None
    type: str
    frequency: str
    pause_collection_for: int | None = None
    custom_fields: list[Facts] | None = None


class SubscriptionQuery(PageQuery, frozen=True, kw_only=True):
    customer_name: str | None = None
    last4: str | None = None
    payment_plan: str | None = None
    frequency: FrequencyText | None = None
    status: Status | None = None
    end_date: Day | None = None
    next_due_date: Day | None = None


class CollectionOrder(Wire, frozen=True, kw_only=True):
    order_id: OrderId | None = None
    amount: Charge | None = None
    description: Text | None = None
    breakdown: SimpleBreakdown | None = None


class CollectIn(Wire, frozen=True, kw_only=True):
    order: CollectionOrder
    operator: Operator | None = None
    custom_fields: list[CustomField] | None = None


class CollectOut(Wire, frozen=True, kw_only=True):
    subscription_id: str
    processing_terminal_id: str
    payment: Summary
    secure_token: SecureTokenSummary
    current_state: CurrentState
    custom_fields: list[Facts] | None = None


# --- links -----------------------------------------------------------------------------------------


class Prompt(Wire, tag_field="type", tag="prompt", frozen=True, kw_only=True):
    currency: Currency


class Preset(Wire, tag_field="type", tag="preset", frozen=True, kw_only=True):
    amount: Charge
    currency: Currency


class MultiUseOrder(Wire, frozen=True, kw_only=True):
    charge: Prompt | Preset
    description: Text | None = None


class SingleUseOrder(Wire, frozen=True, kw_only=True):
    order_id: OrderId
    charge: Prompt | Preset
    description: Text | None = None


class CustomLabel(Wire, frozen=True, kw_only=True):
    element: Literal["paymentButton"]
    label: Text


class LinkCredential(Wire, frozen=True, kw_only=True):
    tokenize: bool | None = None
    mit_agreement: MitAgreement | None = None


Methods = Annotated[list[Literal["card", "bankTransfer"]], msgspec.Meta(min_length=1)]
AuthType = Literal["sale", "preAuthorization"]


class MultiUseLink(Wire, tag_field="type", tag="multiUse", frozen=True, kw_only=True):
    merchant_reference: Name
    order: MultiUseOrder
    auth_type: AuthType
    payment_methods: Methods
    custom_labels: list[CustomLabel] | None = None
    expires_on: Day | None = None
    credential_on_file: LinkCredential | None = None


class SingleUseLink(Wire, tag_field="type", tag="singleUse", frozen=True, kw_only=True):
    merchant_reference: Name
    order: SingleUseOrder
    auth_type: AuthType
    payment_methods: Methods
    expires_on: Day
    custom_labels: list[CustomLabel] | None = None
    credential_on_file: LinkCredential | None = None


LinkIn = MultiUseLink | SingleUseLink
LINK_IN = cast("type[LinkIn]", LinkIn)
"""A union is no class, but it is read like one."""


class LinkQuery(PageQuery, frozen=True, kw_only=True):
    merchant_reference: str | None = None
    link_type: Literal["multiUse", "singleUse"] | None = None
    charge_type: Literal["prompt", "preset"] | None = None
    status: Literal["active", "completed", "deactivated", "expired"] | None = None
    recipient_name: str | None = None
    recipient_email: str | None = None
    created_on: Day | None = None
    expires_on: Day | None = None


class Recipient(Wire, frozen=True, kw_only=True):
    name: Text
    email: Annotated[str, msgspec.Meta(pattern="^[^@ ]+@[^@ ]+$", max_length=320)]


class SharingIn(Wire, frozen=True, kw_only=True):
    sharing_method: Literal["email"]
    recipients: Annotated[list[Recipient], msgspec.Meta(min_length=1, max_length=100)]
    merchant_copy: bool | None = None
    message: Text | None = None


class SharingQuery(PageQuery, frozen=True, kw_only=True):
    recipient_name: str | None = None
    recipient_email: str | None = None


# --- event subscriptions ---------------------------------------------------------------------------


class Webhook(Wire, tag_field="type", tag="webhook", frozen=True, kw_only=True):
    uri: Annotated[str, msgspec.Meta(pattern="^https?://", max_length=2000)]
    secret: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    support_email_address: Annotated[str, msgspec.Meta(pattern="^[^@ ]+@[^@ ]+$", max_length=320)]


class EventSubscriptionIn(Wire, frozen=True, kw_only=True):
    enabled: bool
    event_types: Annotated[list[Text], msgspec.Meta(min_length=1, max_length=100)]
    notifications: Annotated[list[Webhook], msgspec.Meta(min_length=1, max_length=10)]
    metadata: Facts | None = None


class EventSubscriptionQuery(PageQuery, frozen=True, kw_only=True):
    status: Literal["registered", "suspended", "failed"] | None = None
    event: str | None = None
