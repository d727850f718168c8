"""Paysafe's classic REST APIs: Card Payments v1, Customer Vault v1, Direct Debit v1, 3-D Secure v1 and v2."""
