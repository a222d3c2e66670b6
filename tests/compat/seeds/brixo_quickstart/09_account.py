account = {
    "id": "org_7f3a2c91",
    "name": "ACME, Inc."
}
