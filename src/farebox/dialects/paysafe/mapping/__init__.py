"""Between Paysafe's wire structs and the commands, one module an API."""
