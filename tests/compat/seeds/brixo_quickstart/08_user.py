user = {
    "id": "jane.doe@acme.com",
    "name": "Jane Doe"
}
