"""Names, values and texts that hold a secret, and ones that only look as if they did.

The secrets are made up when this module is imported: none is a credential of anything.
"""

from __future__ import annotations

import base64
import json
from typing import Any

# What must not be in any output. It has no shape of its own: only its name gives it away.
SECRET = "hunter2-horse9"

_DIGITS_AND_LETTERS = "a1b2c3d4e5f6g7h8i9j0kAlBmCnDoEpF"
_HEX = "0123456789abcdef"


def made_up(length: int, alphabet: str = _DIGITS_AND_LETTERS) -> str:
    """Return a text of that length which looks random and is not."""
    return "".join(alphabet[(position * 7 + 3) % len(alphabet)] for position in range(length))


def _base64url(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


BODY = made_up(120)
JWT = ".".join((_base64url({"alg": "HS256"}), _base64url({"sub": "jane"}), made_up(43)))
PEM_BODY = "\n".join(made_up(64) for _ in range(12))
PEM_KINDS = ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", "DSA ")


def pem(kind: str = "", suffix: str = "") -> str:
    """Return a PEM block that looks like a private key."""
    label = f"{kind}PRIVATE KEY{suffix}"
    return f"-----BEGIN {label}-----\n{PEM_BODY}\n-----END {label}-----\n"


# --- names of which every value is secret ----------------------------------------------------

SECRET_NAMES = """
password Password PASSWORD passwords db_password dbPassword DB_PASSWORD user.password
new_password newPassword passwordConfirmation password_hash passwordHash hashed_password
smtp_passwd passwd pwd PWD db.pwd passphrase ssh_passphrase passcode
secret Secret secrets client_secret clientSecret CLIENT_SECRET app_secret webhook_secret
SECRET_KEY secretKey secret_key secret-key django_secret AWS_SECRET_ACCESS_KEY
api_key apiKey APIKey apikey APIKEY api-key api.key x-api-key X-Api-Key X-API-KEY
X-Goog-Api-Key Ocp-Apim-Subscription-Key OPENAI_API_KEY ANTHROPIC_API_KEY openai_api_key
AZURE_OPENAI_API_KEY azure_openai_api_key llm.api_key api_key_1 apiKeys api_keys
access_token accessToken refresh_token refreshToken id_token idToken auth_token authToken
X-Auth-Token bearer_token session_token sessionToken csrf_token csrfmiddlewaretoken
device_token slack_bot_token SLACK_BOT_TOKEN GITHUB_TOKEN HF_TOKEN token Token TOKEN
x-amz-security-token personal_access_token oauth_token oauth_verifier authenticity_token
key Key keys private_key privateKey private_key_pem PRIVATE_KEY ssh_key sshKey public_key
encryption_key signing_key master_key access_key access_key_id AWS_ACCESS_KEY_ID account_key
AccountKey subscription_key storage_key license_key key_material wrapped_key
credential credentials Credentials aws_credentials google_credentials GOOGLE_APPLICATION_CREDENTIALS
auth AUTH basic_auth basicAuth http_auth authorization Authorization AUTHORIZATION
Proxy-Authorization proxy_authorization authentication x-authenticated-user authn oauth oauth2
jwt user_jwt JWT bearer cookie Cookie cookies Set-Cookie set_cookie
http.request.header.authorization http.request.header.x-api-key gen_ai.openai.api_key
db.connection.password rpc.metadata.authorization
monkeyKey keyboard_password author_token tokenizer_secret primary_key_password cache_key_secret
max_tokens_secret token_count_password secretary_password
AZURE_AD_TOKEN sas_token SharedAccessKey awsSecretKey SecretAccessKey aws_session_token
publishable_key restricted_key signing_secret SLACK_SIGNING_SECRET PRIVATE-TOKEN CI_JOB_TOKEN
HUGGINGFACEHUB_API_TOKEN LANGCHAIN_API_KEY LITELLM_MASTER_KEY COHERE_API_KEY MISTRAL_API_KEY
groqKey DATABRICKS_TOKEN snowflake_password TWILIO_AUTH_TOKEN SENDGRID_API_KEY weaviateApiKey
REDIS_AUTH sasl_plain_password ssl.keystore.password identitytoken registry_auth _authToken
NODE_AUTH_TOKEN TWINE_PASSWORD access_token_secret consumerKey DD_APP_KEY sessionKey
X-XSRF-TOKEN XSRF-TOKEN deployKey passPhrase pass_word userpassword MYSQL_PWD PGPASSWORD
totpSecret recovery_key walletPrivateKey fernet_key jwtSecret secretKeyRef bearerToken
X-Amz-Credential X-Vault-Token X-Shopify-Access-Token api_key_v2 key1 secondaryKey tokenValue
token_hash fcm_token resetToken nextPageToken api_key[] user[password] api\u00b7key api/key authz
creds DB_CREDS _csrf xsrf jwe smtp_pass dbPass POSTGRES_PASS redis-pass user.pass adminPass
api_key_details api_key_info sort_api_key key_value tokenText MINIO_SECRET_KEY key_id
""".split()

# --- texts that hold a secret, each with the part that must be gone --------------------------

_KEYS: dict[str, str] = {
    "OpenAI": "sk-" + made_up(48),
    "OpenAI project": "sk-proj-" + made_up(60),
    "OpenAI service account": "sk-svcacct-" + made_up(60),
    "Anthropic": "sk-ant-api03-" + made_up(80) + "-" + made_up(8),
    "OpenRouter": "sk-or-v1-" + made_up(64, _HEX),
    "Langfuse secret": "sk-lf-" + made_up(36),
    "Langfuse public": "pk-lf-" + made_up(36),
    "Stripe live": "sk_live_" + made_up(24),
    "Stripe test": "sk_test_" + made_up(24),
    "Stripe restricted": "rk_live_" + made_up(24),
    "Stripe public": "pk_live_" + made_up(24),
    "Groq": "gsk_" + made_up(52),
    "Pinecone": "pcsk_" + made_up(70),
    "GitHub personal": "ghp_" + made_up(36),
    "GitHub OAuth": "gho_" + made_up(36),
    "GitHub server": "ghs_" + made_up(36),
    "GitHub user": "ghu_" + made_up(36),
    "GitHub refresh": "ghr_" + made_up(36),
    "GitHub fine-grained": "github_pat_" + made_up(22) + "_" + made_up(59),
    "GitLab": "glpat-" + made_up(20),
    "AWS": "AKIA" + made_up(16, "ABCDEFGH23456"),
    "AWS temporary": "ASIA" + made_up(16, "ABCDEFGH23456"),
    "Google": "AIza" + made_up(35),
    "Google OAuth": "ya29." + made_up(60),
    "Slack bot": "xoxb-" + made_up(11, "123456") + "-" + made_up(24),
    "Slack user": "xoxp-" + made_up(11, "123456") + "-" + made_up(24),
    "Slack app": "xapp-1-" + made_up(40),
    "Hugging Face": "hf_" + made_up(34),
    "Replicate": "r8_" + made_up(37),
    "Perplexity": "pplx-" + made_up(48),
    "xAI": "xai-" + made_up(80),
    "Tavily": "tvly-" + made_up(32),
    "LangSmith": "lsv2_pt_" + made_up(32, _HEX) + "_" + made_up(10, _HEX),
    "SendGrid": "SG." + made_up(22) + "." + made_up(43),
    "Twilio": "SK" + made_up(32, _HEX),
    "npm": "npm_" + made_up(36),
    "PyPI": "pypi-AgEIcHlwaS5vcmc" + made_up(100),
    "DigitalOcean": "dop_v1_" + made_up(64, _HEX),
    "Databricks": "dapi" + made_up(32, _HEX),
    "Stripe webhook": "whsec_" + made_up(32),
    "Shopify": "shpat_" + made_up(32, _HEX),
    "Notion": "ntn_" + made_up(46),
    "Notion old": "secret_" + made_up(43),
    "Linear": "lin_api_" + made_up(40),
    "Vault": "hvs." + made_up(90),
    "Figma": "figd_" + made_up(40),
    "Grafana": "glsa_" + made_up(32) + "_" + made_up(8, _HEX),
    "New Relic": "NRAK-" + made_up(27, "ABCDEFGH23456"),
    "Sentry": "sntrys_" + made_up(80),
    "Atlassian": "ATATT3" + made_up(100),
    "Telegram": made_up(10, "123456789") + ":AA" + made_up(33),
    "JWT": JWT,
    "JWT whose end was cut": JWT.rsplit(".", 1)[0],
}

KEY_TEXTS: dict[str, tuple[str, str]] = {
    name: (text, text[-min(len(text) - 4, 24) :]) for name, text in _KEYS.items()
}

# {s} is the secret.
_TEMPLATES: dict[str, str] = {
    "assignment": "password={s}",
    "assignment of one quote": "password='{s}'",
    "assignment in source": 'client = Client(api_key="{s}", timeout=5)',
    "assignment with spaces": "    password = '{s}'  # TODO",
    "assignment of bytes": "SECRET_KEY = b'{s}'",
    "assignment in three quotes": 'password = """{s}"""',
    "assignment of a call": "api_key = SecretStr('{s}')",
    "assignment of two letters": "pwd={s}",
    "annotated assignment": 'api_key: str = "{s}"',
    "annotated optional": "    client_secret: str | None = '{s}'",
    "annotated generic": 'token: Optional[str] = "{s}"',
    "comparison": 'if password == "{s}":',
    "inequality": 'if password != "{s}":',
    "walrus": 'if (token := "{s}"):',
    "Ruby hash": '{{"password" => "{s}"}}',
    "subscript": 'os.environ["DB_PASSWORD"] = "{s}"',
    "attribute": "self.client_secret = '{s}'",
    "keyword in a log line": "INFO:root:api_key={s}",
    "behind a harmless name": "message: password={s} user=jane",
    "behind harmless names": "a:b=c:d=password={s}",
    "unquoted with a star in it": "password=a***{s}",
    "quoted with a star in it": 'password="*** {s}"',
    "quoted with an escaped quote": 'x "password": "ab\\"{s}", "b": 1',
    "quoted with an escaped backslash": 'x "password": "ab\\\\", "api_key": "{s}"',
    "quoted and cut": 'x "password": "{s}',
    "YAML": "user: jane\npassword: {s}\nport: 5432",
    "YAML of letters only": "db:\n  password: correcthorse{s}",
    "YAML in flow style": "{{user: jane, password: {s}, port: 5432}}",
    "INI": "[db]\nuser = jane\npassword = {s}\n",
    ".env": "DEBUG=1\nOPENAI_API_KEY={s}\nLOG=info",
    ".env with export": "export DB_PASSWORD={s}",
    ".env with quotes": 'DB_PASSWORD="{s}"',
    ".env with spaces": "DB_PASSWORD = '{s}'",
    "command line": "deploy --api-key={s} --verbose",
    "command line with one dash": "mysql -password={s}",
    "query string": "https://acme.com/v1?api_key={s}&page=2",
    "query string of letters": "https://acme.com/v1?page=2&token={s}",
    "query string with key": "GET /maps?key={s} HTTP/1.1",
    "form": "grant_type=password&username=jane&password={s}&scope=x",
    "connection string": "Server=db;Database=app;User Id=jane;Password={s};",
    "libpq": "host=db user=jane password={s} dbname=app",
    "URL": "postgres://jane:{s}@db.acme.com:5432/app",
    "URL with a driver": "postgresql+psycopg2://jane:{s}@db/app?sslmode=require",
    "URL without a user": "redis://:{s}@cache:6379/0",
    "URL in a sentence": "cannot reach mongodb+srv://jane:{s}@c0.acme.net, giving up",
    "URL with a token as user": "https://{s}aaaaaaaa@github.com/acme/app.git",
    "header": "Authorization: Bearer {s}",
    "header of another scheme": "Authorization: Token {s}",
    "header of no scheme": "authorization: {s}",
    "header, Basic": "Authorization: Basic {s}==",
    "header, Digest": 'Authorization: Digest username="jane", response="{s}"',
    "header, proxy": "Proxy-Authorization: Basic {s}",
    "header among others": "GET / HTTP/1.1\r\nHost: acme.com\r\nAuthorization: ApiKey {s}\r\nAccept: */*",
    "header with escaped line ends": r"send: b'GET / HTTP/1.1\r\nAuthorization: ApiKey {s}\r\nHost: x'",
    "header of a key": "X-Api-Key: {s}",
    "header of curl": "curl -H 'X-Api-Key: {s}' https://acme.com",
    "header of curl in double quotes": 'curl -H "Authorization: Bearer {s}" https://acme.com',
    "header of a cookie": "Cookie: theme=dark; session={s}",
    "header of a quoted cookie": 'Cookie: session="{s}"',
    "header of curl, quoted cookie": "curl -H 'Cookie: session=\"{s}\"' https://acme.com",
    "header set-cookie": "set-cookie: sid={s}; HttpOnly",
    "bearer": "called with bearer {s} as jane",
    "repr of a mapping": "{{'user': 'jane', 'password': '{s}'}}",
    "repr of headers": "Headers({{'x-api-key': '{s}', 'accept': '*/*'}})",
    "repr of an object": "Client(base_url='https://acme.com', api_key='{s}')",
    "JSON": '{{"user": "jane", "password": "{s}"}}',
    "JSON, nested": '{{"a": [{{"b": {{"api_key": "{s}"}}}}]}}',
    "JSON list": '[{{"token": "{s}"}}]',
    "JSON with a number": '{{"password": 4, "secret": ["{s}"]}}',
    "JSON with a line before it": 'response: {{"access_token": "{s}", "expires_in": 3600}}',
    "JSON that was cut": '{{"user": "jane", "access_token": "{s}", "sco',
    "JSON lines": '{{"a": 1}}\n{{"api_key": "{s}"}}\n',
    "JSON pair": '[["accept", "*/*"], ["authorization", "{s}"]]',
    "JSON name and value": '[{{"name": "Authorization", "value": "{s}"}}]',
    "JSON key and value": '{{"Key": "db_password", "Value": "{s}"}}',
    "error message": "AuthenticationError: Incorrect API key provided: api_key='{s}'",
    "traceback": 'File "app.py", line 3, in login\n    login(user, password="{s}")',
    "option of a command": "mysql --password {s} --user root app",
    "option of a command in quotes": "deploy --api-key '{s}' --verbose",
    "variable before a command": "PGPASSWORD={s} psql -h db",
    "user of curl": "curl -u jane:{s} https://acme.com",
    "password of sshpass": "sshpass -p {s} ssh jane@acme.com",
    "password of mysql": "mysql -uroot -p{s} app",
    "login of docker": "docker login -u jane -p {s} acme.com",
    "password of redis-cli": "redis-cli -a {s} ping",
    "arguments as a list": "Command '['mysql', '--password', '{s}']' returned 1",
    "header among arguments": "Command '['curl', '-H', 'X-Api-Key: {s}']' returned 1",
    "JSON list of arguments": '["mysql", "--password", "{s}", "app"]',
    "JSON list of arguments of curl": '["curl", "-u", "jane:{s}"]',
    "JSON list of a user": '{{"argv": ["-u", "jane:{s}"]}}',
    "XML": "<user>jane</user><password>{s}</password>",
    "XML with a namespace": "<ns1:apiKey>{s}</ns1:apiKey>",
    "XML of SOAP": '<wsse:Password Type="x#PasswordText">{s}</wsse:Password>',
    "XML with CDATA": "<Password><![CDATA[{s}]]></Password>",
    "XML attribute": '<user name="jane" password="{s}"/>',
    "XML setting": '<add key="ApiKey" value="{s}"/>',
    "XML property": '<property name="password">{s}</property>',
    "XML in XML": "&lt;password&gt;{s}&lt;/password&gt;",
    "XML that was cut": "<user>jane</user><password>{s}",
    "HTML field": '<input type="hidden" name="csrf_token" value="{s}">',
    "HTML meta": '<meta name="csrf-token" content="{s}" />',
    "YAML in flow style, list": "api_keys: ['{s}', 'b']",
    "YAML with a tag": "password: !!str {s}",
    "call": "auth=HTTPBasicAuth('jane', '{s}')",
    "repr of a tuple": "Session(auth=('jane', '{s}'), timeout=5)",
    "repr of a list": "{{'user': 'jane', 'api_keys': ['a', '{s}']}}",
    "repr of a record in a record": "Client(api_key=Secret(value='{s}'))",
    "repr of headers as pairs": "[('Accept', '*/*'), ('Authorization', 'Bearer {s}')]",
    "repr of headers as bytes": "[(b'authorization', b'{s}')]",
    "environment in source": "os.environ.setdefault('API_KEY', '{s}')",
    "query in a query": "https://acme.com/?next=https%3A%2F%2Facme.com%2F%3Fapi_key%3D{s}%26a%3Db",
    "JSON in a query": "https://acme.com/?data=%7B%22password%22%3A%22{s}%22%7D",
    "JSON in a query, twice encoded": "x=%257B%2522password%2522%253A%2522{s}%2522%257D",
    "form with brackets": "user%5Bpassword%5D={s}&user%5Bname%5D=jane",
    "multipart form": '--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n{s}\r\n--b--',
    "header of another kind": "Host: acme.com\r\nX-Forwarded-Authorization: Custom {s}\r\n",
    "sentence": "the password is {s}.",
    "sentence of a change": "Your password was set to {s}",
    "two words": "API key: {s}",
    "arrow": "password -> {s}",
    "netrc": "machine acme.com login jane password {s}",
    "SQL": "ALTER USER jane WITH ENCRYPTED PASSWORD '{s}'",
    "SQL of MySQL": "CREATE USER jane IDENTIFIED BY '{s}'",
    "SQL of a plugin": "CREATE USER a IDENTIFIED WITH mysql_native_password BY '{s}'",
    "SQL without quotes": "CREATE USER jane IDENTIFIED BY {s};",
    "SQL option": "CREATE SECRET (TYPE S3, KEY_ID 'x', SECRET '{s}')",
    "SQL for a user": "SET PASSWORD FOR 'jane'@'acme' = '{s}'",
    "connection string of a bus": "Endpoint=sb://acme/;SharedAccessKeyName=n;SharedAccessKey={s}=",
    "GraphQL": 'mutation {{ login(email: "jane", password: "{s}") {{ id }} }}',
    "signature of an address": "https://acme.blob/a?sv=1&sig={s}aaaaaaa%3D",
    "npmrc": "//registry.acme.com/:_authToken={s}",
    "short name": "DB_PASS={s}",
    "short name in JSON": '{{"smtp_pass": "{s}"}}',
    "name that begins with a number": "2captcha_key={s}",
    "Markdown, bold with the colon": "**Password:** {s}",
    "Markdown, bold name": "- **API key**: {s}",
    "Markdown, bold value": "Password: **{s}**",
    "Markdown, code": "`api_key`: `{s}`",
    "Markdown, stated": "The password is **{s}**",
    "Markdown, row": "| password | {s} |",
    "Markdown, row of code": "| **API key** | `{s}` |",
    "Markdown, row without blanks": "|Password|{s}|",
    "PowerShell": "$env:API_KEY = '{s}'",
    "PowerShell, of a script": '$script:Password = "{s}"',
    "behind a label and a colon": "ERROR: password = '{s}'",
    "template string": "const password = `{s}`",
    "assignment of make": "API_KEY ?= {s}",
    "assignment of Ruby": "password ||= '{s}'",
    "assignment of R": 'password <- "{s}"',
    "assignment that adds": "password += '{s}'",
    "joined strings": "password='abc' + '{s}'",
    "joined strings without a sign": "password='abc' '{s}'",
    "joined strings of PHP": "$password = 'abc' . '{s}';",
    "string with a doubled quote": "password='it''{s}'",
    "in angle brackets": "password=<{s}>",
    "pass": "pass={s}",
    "pass of a user": '{{"user": "jane", "pass": "{s}"}}',
    "pass in a representation": "{{'user': 'jane', 'pass': '{s}'}}",
    "pw": "pw='{s}'",
    "setter": "setPassword('{s}')",
    "setter in Python": 'client.set_api_key("{s}")',
    "setter of a token": "withToken('{s}')",
    "builder": 'Client.builder().apiKey("{s}").build()',
    "credentials of two strings": 'new BasicAWSCredentials("jane", "{s}")',
    "holder": "Secret(value='{s}')",
    "inserted row": "INSERT INTO u (name, password) VALUES ('j', '{s}')",
    "inserted rows": "REPLACE INTO u(`name`,`password`) VALUES ('a','b'),('c','{s}')",
    "stated behind a colon": "The API key is: {s}",
    "described in a representation": "Header(name='Authorization', value='{s}')",
    "described in a mapping": "[{{'name': 'password', 'value': '{s}'}}]",
    "described by another label": "{{'field': 'password', 'content': '{s}'}}",
    "token of GitHub in an address": "https://{s}@github.com/acme/app.git",
    "password with a slash": "postgres://jane:a/{s}@db/app",
    "Oracle": "jdbc:oracle:thin:jane/{s}@db:1521/app",
    "webhook of Slack": "https://hooks.slack.com/services/T01/B02/{s}",
    "webhook of Discord": "https://discord.com/api/webhooks/123456789/{s}",
    "webhook of Teams": "https://acme.webhook.office.com/webhookb2/7c9e@7c9e/IncomingWebhook/{s}",
    "setting of Redis": "requirepass {s}",
    "setting of a router": "set password {s}",
    "setting of a program": "aws configure set aws_secret_access_key {s}",
    "pairs of headers": "Headers([('Authorization', '{s}')])",
    "pairs of a form": "MultiDict([('password', '{s}'), ('user', 'jane')])",
    "JSON with escaped letters": '{{"\\u0070assword": "{s}"}}',
    "JSON with escaped letters in a line": 'got {{"\\u0070assword": "{s}", "a',
    "HTML, cells": "<td>password</td><td>{s}</td>",
    "HTML, bold name": "<b>Password:</b> {s}",
    "HTML, code": "<strong>API key</strong>: <code>{s}</code>",
    "XML, name and value": "<name>password</name><value>{s}</value>",
    "form of a name and a value": "name=password&value={s}",
    "in brackets": "Driver={{x}};PWD={{{s}}};",
    "in square brackets": "token=[{s}]",
    "PowerShell in braces": "${{env:API_KEY}}='{s}'",
    "PowerShell, secure string": "ConvertTo-SecureString '{s}' -AsPlainText",
    "variable of Windows": "setx API_KEY {s}",
    "setting of a router with a level": "enable secret 5 {s}",
    "stated of many": "The credentials are: {s}",
    "stated of a change behind a colon": "Password set to: {s}",
    "Azure": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={s};EndpointSuffix=x",
}

# Of several lines: in JSON that was cut their line ends are escaped, and they are not told apart.
_LINES: dict[str, str] = {
    "YAML block": "db:\n  password: |\n    {s}\n    more\n  port: 1",
    "YAML folded block": "password: >-\n  {s}\nuser: jane",
    "YAML list": "api_keys:\n  - {s}\n  - b\n",
    "YAML, value below": "auth:\n  value: {s}",
    "YAML, password below": "auth:\n  type: basic\n  user: jane\n  pass: {s}",
    "YAML, described": "env:\n  - name: DB_PASSWORD\n    value: {s}\n",
    "YAML of Kubernetes": "kind: Secret\nmetadata:\n  name: db\ndata:\n  user: {s}\n",
    "quoted over two lines": 'password: "x9\n{s}"\nuser: jane',
    "joined over two lines": "password = 'abc' + \\\n    '{s}'",
    "property list": "<key>API_KEY</key>\n<string>{s}</string>",
    ".env with all characters": "DEBUG=1\nSECRET_KEY=abc(&{s})#$x\nA=1",
    "Dockerfile": "FROM python\nENV API_KEY {s}\n",
    "many times escaped": "log "
    + json.dumps(json.dumps(json.dumps(json.dumps({"password": "{s}"}))))
    .replace("{", "{{")
    .replace("}", "}}")
    .replace("{{s}}", "{s}"),
}
LINE_TEXTS = {name: template.format(s=SECRET) for name, template in _LINES.items()}

# Lists that are command lines, with the position of what is hidden.
SECRET_ARGUMENTS: list[list[str]] = [
    ["mysql", "--password", SECRET],
    ["--password", SECRET],
    ["curl", "-H", f"Authorization: Bearer {SECRET}"],
    ["/usr/bin/curl", "--user", f"jane:{SECRET}"],
    ["-u", f"jane:{SECRET}"],
    ["mysql", f"-p{SECRET}", "app"],
    ["sshpass", "-p", SECRET, "ssh"],
    ["docker", "login", "-u", "jane", "-p", SECRET],
    ["deploy", "--api-key", SECRET, "--verbose"],
    ["deploy", f"--token={SECRET}"],
    ["psql", "-c", f"ALTER USER jane PASSWORD '{SECRET}'"],
    ["env", f"API_KEY={SECRET}", "app"],
]
HARMLESS_ARGUMENTS: list[list[Any]] = [
    ["docker", "run", "-u", "1000:1000", "-p", "8080:80", "image"],
    ["git", "push", "-u", "origin", "HEAD:main"],
    ["app", "--max-tokens", "512", "--sort-key", "name", "--author", "Jane"],
    ["app", "--no-auth", "file", "--password-stdin", "x"],
    ["mysql", "-P", "3306", "-p", "app"],
    ["-", "--", "-1", 5, None],
]

SECRET_TEXTS: dict[str, tuple[str, str]] = {
    **KEY_TEXTS,
    **{
        f"{name} in a sentence": (f"the key is {text}, keep it", part)
        for name, (text, part) in KEY_TEXTS.items()
    },
    **{name: (template.format(s=SECRET), SECRET) for name, template in _TEMPLATES.items()},
    **{f"PEM {kind}": (f"key:\n{pem(kind)}", PEM_BODY[:64]) for kind in PEM_KINDS},
    "PEM of PGP": (pem("PGP ", " BLOCK"), PEM_BODY[:64]),
    "PEM without its end": (pem()[:400], PEM_BODY[:64]),
    "PEM without its beginning": (pem("RSA ")[200:] + "and so on", PEM_BODY[-64:]),
    "PEM with escaped line ends": (json.dumps(pem())[1:-1], PEM_BODY[:64]),
    "PEM after the end of another": (pem()[200:] + "and\n" + pem("EC "), PEM_BODY[:64]),
    "PEM after a certificate": (
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n" + pem(),
        PEM_BODY[:64],
    ),
}

# --- names and values that must survive unchanged --------------------------------------------

HARMLESS_NAMES: list[tuple[str, Any]] = [
    # OpenAI, Anthropic, Google, Bedrock, LangChain, Hugging Face
    ("max_tokens", 5),
    ("time_to_first_token", 0.35),
    ("first_token_ms", 350),
    ("output_token_rate", 3.5),
    ("token_position", 4),
    ("max_completion_tokens", 512),
    ("max_output_tokens", 512),
    ("maxOutputTokens", 512),
    ("maxTokens", 512),
    ("max_tokens_to_sample", 300),
    ("min_tokens", 1),
    ("prompt_tokens", 12),
    ("completion_tokens", 7),
    ("total_tokens", 19),
    ("totalTokens", 19),
    ("cached_tokens", 0),
    ("reasoning_tokens", 64),
    ("audio_tokens", 0),
    ("accepted_prediction_tokens", 0),
    ("input_tokens", 12),
    ("output_tokens", 7),
    ("cache_creation_input_tokens", 0),
    ("cache_read_input_tokens", 0),
    ("budget_tokens", 1024),
    ("thinking_budget_tokens", 1024),
    ("prompt_token_count", 12),
    ("candidates_token_count", 7),
    ("totalTokenCount", 19),
    ("promptTokenCount", 12),
    ("inputTokens", 12),
    ("prompt_tokens_details", {"cached_tokens": 0, "audio_tokens": None}),
    ("completion_tokens_details", {"reasoning_tokens": 3}),
    ("token_usage", {"prompt_tokens": 1, "total_tokens": 2}),
    ("usage.total_tokens", 19),
    ("usage", {"input_tokens": 3, "cache": {"tokens": 4}}),
    ("tokens", 19),
    ("n_tokens", 19),
    ("num_tokens", 19),
    ("token_count", 19),
    ("tokenCount", 19),
    ("avg_tokens", 2.5),
    ("tokens_per_second", 31.25),
    ("tokens_per_minute", 90_000),
    ("tokens_remaining", 100),
    ("x-ratelimit-remaining-tokens", 149_000),
    ("token_limit", 4096),
    ("token_budget", 4096),
    ("cost_per_token", 1e-06),
    ("pad_token", "<pad>"),
    ("eos_token", "</s>"),
    ("bos_token", "<s>"),
    ("unk_token", "<unk>"),
    ("mask_token", "[MASK]"),
    ("pad_token_id", 0),
    ("eos_token_id", 2),
    ("token_ids", [1, 2, 3]),
    ("token_type_ids", [0, 0, 1]),
    ("stop_tokens", ["\n"]),
    ("special_tokens", ["<s>"]),
    ("skip_special_tokens", True),
    ("token_type", "bearer"),
    ("tokenizer", "cl100k_base"),
    ("tokenizer_name", "gpt2"),
    ("tokenizer_class", "LlamaTokenizer"),
    ("tokenization", "bpe"),
    ("TOKENIZERS_PARALLELISM", "false"),
    ("response_format", {"type": "json_object"}),
    ("finish_reason", "stop"),
    ("model", "gpt-4o"),
    ("system_fingerprint", "fp_44709d6fcb"),
    # the semantic conventions of OpenTelemetry
    ("gen_ai.usage.input_tokens", 12),
    ("gen_ai.usage.output_tokens", 7),
    ("gen_ai.usage.cache_read.input_tokens", 0),
    ("gen_ai.request.max_tokens", 512),
    ("gen_ai.token.type", "input"),
    ("gen_ai.conversation.id", "s-1"),
    ("gen_ai.agent.name", "Support"),
    ("gen_ai.tool.call.id", "call_1"),
    ("llm.token_count.prompt", 12),
    ("llm.usage.total_tokens", 19),
    ("feature_flag.key", "logo-color"),
    ("session.id", "s-1"),
    ("user.id", "jane"),
    ("user.email", "jane@acme.com"),
    ("enduser.id", "jane"),
    ("messaging.kafka.message.key", "order-1"),
    ("messaging.rabbitmq.destination.routing_key", "orders"),
    ("messaging.rocketmq.message.keys", ["a", "b"]),
    ("aws.s3.key", "a/b.csv"),
    ("db.system.name", "postgresql"),
    ("http.request.method", "GET"),
    ("server.address", "acme.com"),
    ("service.instance.id", "a-1"),
    # databases and caches
    ("primary_key", "id"),
    ("primaryKey", "id"),
    ("primary_keys_count", 2),
    ("foreign_key", "user_id"),
    ("foreignKey", "user_id"),
    ("partition_key", "day"),
    ("sort_key", "name"),
    ("range_key", "at"),
    ("hash_key", "id"),
    ("row_key", "r1"),
    ("shard_key", "region"),
    ("unique_key", "email"),
    ("composite_key", "a,b"),
    ("surrogate_key", 7),
    ("cache_key", "user:1"),
    ("routing_key", "orders"),
    ("message_key", "order-1"),
    ("object_key", "a/b.csv"),
    ("s3_key", "a/b.csv"),
    ("idempotency_key", "7c9e"),
    ("Idempotency-Key", "7c9e"),
    ("lookup_key", "a"),
    ("group_key", "team"),
    ("join_key", "id"),
    ("translation_key", "menu.open"),
    ("key_count", 3),
    ("num_keys", 3),
    ("key_length", 2048),
    ("key_size", 2048),
    ("key_type", "RSA"),
    # words
    ("author", "Jane"),
    ("authors", ["Jane"]),
    ("authored_by", "Jane"),
    ("co_author", "Jane"),
    ("authority", "ACME"),
    ("authority_score", 0.5),
    ("authoritative", "yes"),
    ("authentic", "yes"),
    ("authenticity", "high"),
    ("monkey", "x"),
    ("monkeypatch", "x"),
    ("donkey", "x"),
    ("turkey", "x"),
    ("whiskey", "x"),
    ("hockey", "x"),
    ("keyboard", "qwerty"),
    ("keyboardLayout", "de"),
    ("keystroke", "Ctrl+C"),
    ("hotkey", "Ctrl+C"),
    ("keyword", "otel"),
    ("keywords", ["otel"]),
    ("search_keywords", ["otel"]),
    ("keyframe", 5),
    ("keynote", "opening"),
    ("keypoints", [[1, 2]]),
    ("key_points", ["be brief"]),
    ("keyPoints", ["be brief"]),
    ("key_findings", "none"),
    ("keyTakeaways", ["one"]),
    ("key_facts", {"a": 1}),
    ("key_phrases", ["x"]),
    ("key_metrics", {"speed": 1}),
    ("key_results", "done"),
    ("secretary", "Jane"),
    ("secretariat", "x"),
    ("passenger", "Jane"),
    ("compass", "north"),
    ("message", "hello"),
    ("description", "a tool"),
    # again in other spellings: plural, joined, dotted, in capitals, with numbers
    *(
        (name, 7)
        for name in """
        subtokens tokenCounts input_token_details output_token_details thoughtsTokenCount
        toolUsePromptTokenCount cachedContentTokenCount cacheReadInputTokens MAX_TOKENS max-tokens
        ephemeral_5m_input_tokens billed_units.input_tokens token_idx token_pos token_percentage
        tokens_in tokens_out tokensUsed input_cost_per_token price_per_1k_tokens
        gen_ai.usage.reasoning.output_tokens gen_ai.client.token.usage llm.request.max_tokens
        n_keys MaxKeys totaltokens key_usage_count
    """.split()
    ),
    *(
        (name, "text")
        for name in """
        primary_keys PRIMARY_KEY PrimaryKey primarykey primary-key primary.key foreign_keys
        foreignkey partitionKey sortkey sort_keys sort_by_key groupByKey cache_keys cachekey
        cacheKeyPrefix dictKeys json_key mapKey redis_key kafka.key document_key entityKey eventKey
        record_key issue_key i18n_key label_key tagKeys metric_key setting_key optionKey column_key
        index_key state_key input_key output_keys memory_key text_key metadata_key vector_key
        parent_key routing_keys LastEvaluatedKey ExclusiveStartKey KeyConditionExpression attr_key
        key_benefits keyStrengths key_requirements key_challenges key_questions keyQuotes
        key_stakeholders key_objectives key_drivers key_trends key_actions key_milestones
        summary.key_points top_key_findings key_info key_name keyPrefix key_path key_columns
        key_mapping keyBindings keymap keydown keyUp keypress keycode keycaps keyless keyed_by
        shortcut_key arrow_keys musical_key key_signature turnkey lackey mickey keyterms
        coauthored authorships undersecretary tokeniser tokenisation TokenTextSplitter
        aws.secretsmanager.secret.arn messaging.gcp_pubsub.message.ordering_key
        traceloop.prompt.key k8s.secret.name aspnetcore.authorization.policy
        azure.cosmosdb.operation.sub_status_code
    """.split()
    ),
]

# Under any name None and the booleans say whether there is a secret, not which.
KEPT_VALUES = (None, True, False)

HARMLESS_TEXTS = [
    "the key: be brief",
    "The key to success: practice, practice, practice",
    "key: value",
    "Key findings: three of them",
    "Key: the main point",
    "author: Jane",
    "Author = Jane",
    "authority: ACME",
    "secretary: Jane",
    "The Secret Garden",
    "Secret: never share it.",
    "password reset link sent",
    "Forgot your password? Click here.",
    "Your password must have 8 characters.",
    "Login with the password: see the vault",
    "Passwords: rotate them often",
    "password: required",
    "Auth: enabled",
    "token_count: 5",
    "tokens: 1,024 of 4,096",
    "max_tokens=512, temperature=0.2",
    "total_tokens: 19",
    "usage: prompt_tokens=12 completion_tokens=7",
    "max_tokens=args.max_tokens",
    "Token: a unit of text",
    "Use at most 100 tokens.",
    "keyboard: qwerty, mouse: optical",
    "keywords: otel, tracing",
    "monkey=1&donkey=2",
    "primary_key=id foreign_key=user_id",
    "PRIMARY KEY (id), FOREIGN KEY (user_id) REFERENCES users (id)",
    "feature_flag.key=logo-color-2024",
    "session.id: s-123456",
    "a basic understanding of Python programming",
    "Basic authentication is switched off",
    "bearer authentication is required",
    "bearer certificates, bearer instruments",
    "Bearer of good news",
    "https://acme.com/a?page=2&sort=asc#top",
    "https://acme.com/reset-password?user=jane",
    "https://auth.acme.com:8443/login?next=1",
    "http://localhost:8080/logo@2x.png",
    "https://acme.com/@jane",
    "postgres://db.acme.com:5432/app",
    "redis://cache:6379/0",
    "ssh://git@github.com/acme/app",
    "git@github.com:acme/app.git",
    "mailto:jane@acme.com",
    "s3://bucket/some/object.csv",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
    "POST /oauth/token 200 in 12 ms",
    "tests/test_auth.py::test_login",
    "FAILED tests/test_tokens.py::test_keys - AssertionError",
    "src/auth.py:1024",
    "src/auth.py:12: error: bad type",
    "oauthlib==3.2.2\nkeyring==25.2.1\ntiktoken==0.7.0",
    "image: acme/auth-proxy:1.12.3-alpine",
    "sorted(items, key=len)",
    "sorted(rows, key=lambda row: row.name)",
    "max(scores, key=scores.get)",
    "def login(user: str, password: str) -> None:",
    "    password: SecretStr\n    api_key: str | None = None",
    "class Settings:\n    api_key: str\n    token: Optional[str] = None",
    "password=None, token=None",
    'password="", user="jane"',
    "for key, value in mapping.items():",
    "if key not in seen: seen.add(key)",
    "tokens = tokenizer.encode(text)",
    "token = next(iterator)",
    "KeyError: 'name'",
    "InvalidTokenError: expired",
    "AuthenticationError: Incorrect API key provided",
    "openai.AuthenticationError: Error code: 401",
    "Args:\n    api_key: The key of the account.\n    token: What the server gave.",
    "Content-Type: application/json\r\nX-Request-Id: 7c9e6679",
    "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "commit 3ac919e2a1b89a4c5d6e7f8090a1b2c3d4e5f607",
    "sk-learn and task-force-management",
    "the desk-mounted-lamp-holder-plan",
    "hf_hub_download is a function",
    "xoxo, and hugs",
    "ASIA, AFRICA and EUROPE",
    "pypi-attestations and npm_config_cache",
    "eyJ is how an encoded object begins",
    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    "a cookie recipe with dark chocolate",
    "2026-01-31T12:00:00Z INFO started in 12.5 s",
    "1 + 1 == 2 and x != y",
    "C:\\Users\\jane\\keyboard.txt",
    'She said: "it\'s the key"',
    "**Token**: a unit of text",
    "**Password:** required",
    "- `api_key`: the key of the account",
    "`key`: `value`",
    "`password`: string",
    "| name | password | role |\n|---|---|---|\n| a | b | c |",
    "| password | string | the password |",
    "| auth | 95% |\n| Token | 12 ms |\n| max_tokens | 512 |",
    "| src/auth.py | 120 |\n| auth.py | 9a |",
    "PASS: test_login_2",
    "pass: true, pass_rate: 0.9, pass=12",
    "Auth: OAuth2",
    "jwt: HS256",
    "tokens += 1",
    "key ** 2 and key <- 5",
    "kind: Token = make()",
    "get_token('service') or get_key(\"name\")",
    "def set_password(self, password: str) -> None:",
    "set key bindings, set token limit",
    "INSERT INTO users (name, age) VALUES ('jane', 5)",
    "INSERT INTO users (name, password) VALUES (?, %s)",
    "https://jane@acme.com/a and https://git@github.com/acme/app",
    "http://localhost:8080/path/a@b and http://acme.com:80/@jane",
    "auth:\n  type: oauth2\n  enabled: true\n  path: /etc/auth",
    "name: auth.py\ncontent: hello",
    "{'role': 'user', 'name': 'token', 'content': 'hello'}",
    "Secret(name='db-creds')",
    "password=<your-password> key=<object at 0x7f12ab>",
    "The password is: required",
    "https://hooks.slack.com/ and https://discord.com/api/docs",
    "upward, pwned and a pass",
    "caf\\u00e9 and na\\u00efve",
    "<td>password</td><td>text</td><b>Token:</b> a unit",
    "token: [a-z0-9]+ and password={password_1} and key=(name1)",
    "password 8 characters, secret 2 people know",
    "The settings are: none of the keys",
    "emoji 🎉 and ☃ and naïve",
    '{"max_tokens": 5, "author": "Jane"}',
    '{ "primary_key" : "id", "tokens": 19 }',
    '["the key", "be brief"]',
    '{"usage": {"prompt_tokens": 12, "details": {"cached_tokens": 0}}}',
    '{"api_key": null, "has_password": true}',
    "Use --password to pass the password.",
    "The --api-key option is required.",
    "usage: deploy [-h] [--api-key API_KEY] [--token TOKEN] region",
    "List<Token> tokens = new ArrayList<>();",
    "Promise<Token> getToken(): Promise<Token>",
    "if a < token and b > key: break",
    "The token is base64-encoded.",
    "The password is stored as SHA256.",
    "The token is used to sign in.",
    "The password was changed to improve security",
    "the key is to be brief",
    "token limit reached",
    "Password reset instructions were sent",
    "He was identified by 'Jane'",
    "docker run -u 1000:1000 -p 8080:80 image",
    "git push -u origin main",
    "curl -X POST https://acme.com/a -d '{\"a\": 1}'",
    "Keys:\n- point one\n- point two",
    "keys = [k for k in mapping]",
    "token: [a-z]+",
    "<h1>Password reset</h1><p>Click the link.</p>",
    '<label for="password">Password</label>',
    '<input type="text" name="author" value="Jane">',
    "<author>Jane</author><maxTokens>512</maxTokens>",
    "SELECT password FROM users WHERE name = 'jane'",
    "password VARCHAR(255) NOT NULL",
    "key 'name' not found",
    'secret "db-creds" not found',
    "unexpected token 'foo' at line 3",
    "tests pass: 12, fail: 0",
    'We will pass, and pass "it" on',
    '("key", "value", "other")',
    "token_usage={'prompt_tokens': 5, 'model': 'x'}",
    '<a href="/auth/login">Log in</a><div class="token">hello</div>',
    "app --author Jane --keywords a,b --max-tokens 512 --sort-key name",
    '"a JSON string about tokens"',
    "{not json: at all",
    "",
    " ",
    "key",
    "password",
]
