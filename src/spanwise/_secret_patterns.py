"""The names and shapes of secrets, as data; the rules that use them are in `_masking` and beside it."""

from __future__ import annotations

from typing import Final

from spanwise._lazy_patterns import pattern

MASK: Final = "***"

# What is in every text that names a secret, with `pass...`, which is looked for by itself.
NAME_HINTS: Final = (
    *("secret", "cred", "auth", "token", "key", "pwd", "bearer", "basic ", "jw", "cookie", "srf"),
    *("identified by", "securestring"),
)
# What the documents promise: a key that contains one of these is masked.
ALWAYS_SECRET: Final = ("password", "secret", "credential", "auth")
OFTEN_SECRET: Final = ("token", "key")
# Names outside that promise that carry nothing but secrets; they must be whole words.
SECRET_WORDS: Final = frozenset(
    """
    passwd passwds passphrase passphrases pwd pwds passcode passcodes bearer jwt jwts jwe cookie
    cookies creds csrf xsrf userpass dbpass dbpwd pgpass
    """.split()
)
# The same of several words. `pass` alone is no secret: it is a rate, a number, a test.
SECRET_PHRASES: Final = tuple(
    tuple(phrase.split())
    for phrase in """
    pass phrase|pass code|pass word
    admin pass|auth pass|app pass|cache pass|database pass|db pass|email pass|ftp pass|git pass
    http pass|imap pass|ldap pass|login pass|mail pass|mongo pass|mysql pass|oracle pass|pg pass
    postgres pass|rabbitmq pass|redis pass|root pass|sftp pass|smtp pass|sql pass|ssh pass
    user pass
    admin pw|app pw|database pw|db pw|ldap pw|login pw|mail pw|pg pw|redis pw|root pw|smtp pw
    sql pw|user pw
    """.replace("\n", "|").split("|")
    if phrase.strip()
)

# What these hold is told by their neighbours: the value of a description, the data of a secret of
# Kubernetes; and `pass`, which is a password beside a user, and a number of tests otherwise.
LABEL_NAMES: Final = frozenset(
    """
    name key header field parameter param variable var property attribute setting option
    """.split()
)
VALUE_NAMES: Final = frozenset("value values val vals content contents".split())
PASS_NAMES: Final = frozenset({"pass", "pw"})
RELATIVE_NAMES: Final = VALUE_NAMES | PASS_NAMES | {"data", "stringdata"}
USER_NAMES: Final = frozenset(
    "user username user_name login email mail usr uid account host hostname server".split()
)
# Names that are words of prose and of code as well.
PLAIN_NAMES: Final = frozenset({"key", "keys", "token", "tokens"})

# Whole words that contain one of the patterns and mean something else.
_HARMLESS_WORDS = """
    author authors authored authoring authority authorities authoritative authorship authorships
    coauthor coauthors coauthored authentic authenticity
    donkey donkeys flunkey hickey hockey hotkey hotkeys jockey jockeys keyboard keyboards keycap
    keycaps keycode keycodes keydown keyed keyframe keyframes keyhole keying keyless keymap keymaps
    keynote keynotes keypad keyphrase keyphrases keypoint keypoints keypress keyspace keyspaces
    keystone keystroke keystrokes keyterm keyterms keyup keyword keywords lackey latchkey
    malarkey mickey monkey monkeypatch monkeys passkeys smokey turkey turnkey whiskey whiskeys
    keybinding keybindings keychord keysym keyevent keylogger keynesian
    secretariat secretaries secretary secretarial secretion secretions undersecretary
    detokenize detokenized detokenizer tokenise tokenised tokeniser tokenisers tokenising
    tokenisation tokenization tokenize tokenized tokenizer tokenizers tokenizes tokenizing
    pretokenize pretokenized pretokenizer retokenize
    """

# What a key is of, in plain data: `sort_key`, `sortKeys`, `sortkey`.
_PLAIN_KEYS = """
    alternate arrow attribute attr bucketing cache candidate child clustering column composite
    config context dedup dedupe deduplication dict dictionary distribution doc document entity enum
    event field foreign group grouping hash i18n idempotency index input issue item join json kafka
    label locale lookup map mapping memo memoization memory message metadata metric modifier
    musical natural object option order ordering output parent partition pivot primary projection
    property question range record redis route routing row s3 setting shard shortcut sort sorting
    state surrogate tag text translation unique vector
    """.split()

# Key in its other sense, before what it is the most important of.
_MAIN_THINGS = """
    achievement action actor advantage area argument aspect assumption benefit challenge change
    character claim component concept conclusion consideration decision deliverable difference
    differentiator driver element entity evidence fact factor feature figure finding
    goal highlight idea indicator ingredient initiative insight issue learning lesson
    milestone moment motivation objective observation obstacle outcome partner passage phrase
    player point principle priority problem question quote reason recommendation requirement
    responsibility result risk sentence skill stakeholder statistic stat step strategy strength
    success symptom takeaway term theme topic trend variable word achievements activities
    actions analyses capabilities companies competencies competitors criteria dependencies
    discoveries entities opportunities people performance policies priorities responsibilities
    strategies studies technologies
    """.split()

HARMLESS_WORDS: Final = frozenset(
    [
        *_HARMLESS_WORDS.split(),
        *(f"{word}key{plural}" for word in _PLAIN_KEYS for plural in ("", "s")),
    ]
)

_WORD = pattern("[a-z]+|[0-9]+")
# Runs of words that name plain data. A number is a word of its own.
HARMLESS_PHRASES: Final = tuple(
    tuple(_WORD.findall(phrase))
    for phrase in (
        *"""
        added token|bos token|cls token|decoder token|end token|eos token|eot token|mask token
        pad token|sep token|special token|special tokens|start token|stop token|stop tokens
        unk token|token embedding|token embeddings|token id|token ids|token index|token logprob
        token logprobs|token offset|token offsets|token span|token type|token types
        token classification|token splitter|token text splitter|sort by key|group by key
        last evaluated key|exclusive start key|key condition expression|projection keys
        history messages key|input messages key|output messages key|messages key|memory keys
        """.replace("\n", "|").split("|"),
        *(f"{word} key{plural}" for word in _PLAIN_KEYS for plural in ("", "s")),
        *(f"key {word}{plural}" for word in _MAIN_THINGS for plural in ("", "s")),
    )
    if phrase.strip()
)
# Those that are so only at the beginning of a name, or behind a dot: `api_key_details` is of a key.
HARMLESS_BEGINNINGS: Final = frozenset(
    tuple(phrase.split())
    for phrase in """
    key account|key accounts|key binding|key bindings|key chord|key code|key codes|key column
    key columns|key contact|key contacts|key date|key dates|key detail|key details|key down
    key error|key event|key events|key field|key fields|key frame|key frames|key index
    key info|key information|key item|key items|key length|key map|key mapping|key mappings
    key message|key messages|key metric|key metrics|key name|key names|key path|key paths
    key pattern|key prefix|key press|key schema|key separator|key signature|key size|key space
    key stroke|key strokes|key type|key types|key up|key update|key updates|key usage
    """.replace("\n", "|").split("|")
    if phrase.strip()
)

# A token or key name with one of these words counts something.
COUNTING_WORDS: Final = frozenset(
    """
    allowance average avg billed budget cap capacity ceiling consumed consumption cost costs
    count counted counter counts duration estimate estimated first idx index
    latency len length limit limits max maxtokens maximum mean median min minimum ms n num number
    numtokens offset overlap pct per percent percentage pos position price pricing quota rate
    ratio remaining seconds size spent stats statistics subtokens subtoken sum threshold
    throughput tokencount tokencounts tokens tokenusage total totals totaltokens prompttokens
    completiontokens inputtokens outputtokens usage used window
    """.split()
)

# Names of the semantic conventions that contain a pattern and are never secret.
SAFE_NAMES: Final = frozenset(
    [
        "feature_flag.key",
        "aws.secretsmanager.secret.arn",
        "messaging.gcp_pubsub.message.ordering_key",
        "traceloop.prompt.key",
        "aspnetcore.authentication.result",
        "aspnetcore.authentication.scheme",
        "aspnetcore.authorization.policy",
        "aspnetcore.authorization.result",
        "aspnetcore.identity.password_check_result",
        "aspnetcore.identity.token_purpose",
        "aspnetcore.identity.token_verified",
        "k8s.secret.name",
        "k8s.secret.uid",
        "messaging.rocketmq.message.keys",
        "messaging.kafka.message.key",
        "messaging.rabbitmq.destination.routing_key",
        "aws.s3.key",
        "db.cassandra.page_size",
        "aws.dynamodb.attributes_to_get",
        "tls.server.hash.sha256",
        "aws.kinesis.partition_key",
        "cloudevents.event_id",
        "url.domain",
    ]
)
SAFE_PREFIXES: Final = ("gen_ai.usage.", "llm.token_count.", "llm.usage.", "gen_ai.token.")

# (what must be in the text for the shape to be there at all, the shape). Every shape is
# linear: it has a fixed start, and no two unbounded runs that can share characters.
VALUE_SHAPES: Final = tuple(
    (hint, pattern(shape))
    for hint, shape in (
        ("sk-", r"(?<![A-Za-z0-9])sk-[A-Za-z0-9_\-]{12,}"),
        ("pk-", r"(?<![A-Za-z0-9])pk-[A-Za-z0-9_\-]{16,}"),
        ("sk_", r"(?<![A-Za-z0-9])(?:r|p|s)k_(?:live|test|prod)_[A-Za-z0-9]{8,}"),
        ("pk_", r"(?<![A-Za-z0-9])pk_(?:live|test|prod)_[A-Za-z0-9]{8,}"),
        ("rk_", r"(?<![A-Za-z0-9])rk_(?:live|test|prod)_[A-Za-z0-9]{8,}"),
        ("gsk_", r"(?<![A-Za-z0-9])gsk_[A-Za-z0-9]{16,}"),
        ("pcsk_", r"(?<![A-Za-z0-9])pcsk_[A-Za-z0-9_]{16,}"),
        ("ghp_", r"(?<![A-Za-z0-9])ghp_[A-Za-z0-9]{16,}"),
        ("gho_", r"(?<![A-Za-z0-9])gho_[A-Za-z0-9]{16,}"),
        ("ghs_", r"(?<![A-Za-z0-9])ghs_[A-Za-z0-9]{16,}"),
        ("ghu_", r"(?<![A-Za-z0-9])ghu_[A-Za-z0-9]{16,}"),
        ("ghr_", r"(?<![A-Za-z0-9])ghr_[A-Za-z0-9]{16,}"),
        ("github_pat_", r"github_pat_[A-Za-z0-9_]{16,}"),
        ("glpat-", r"glpat-[A-Za-z0-9_\-]{16,}"),
        ("AKIA", r"(?<![A-Za-z0-9])AKIA[A-Z0-9]{12,}"),
        ("ASIA", r"(?<![A-Za-z0-9])ASIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("AIza", r"AIza[A-Za-z0-9_\-]{20,}"),
        ("ya29.", r"ya29\.[A-Za-z0-9_\-]{16,}"),
        ("xox", r"xox[abcdeoprs](?:\.xox[a-z])?-[A-Za-z0-9\-%]{8,}"),
        ("xapp-", r"xapp-[A-Za-z0-9\-]{16,}"),
        ("hf_", r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{16,}"),
        ("r8_", r"(?<![A-Za-z0-9])r8_[A-Za-z0-9]{20,}"),
        ("pplx-", r"pplx-[A-Za-z0-9]{16,}"),
        ("xai-", r"(?<![A-Za-z0-9])xai-[A-Za-z0-9]{16,}"),
        ("tvly-", r"tvly-[A-Za-z0-9\-]{8,}"),
        ("lsv2_", r"lsv2_[A-Za-z0-9_]{16,}"),
        ("SG.", r"(?<![A-Za-z0-9])SG\.[A-Za-z0-9_\-]{16,}\.[A-Za-z0-9_\-]{16,}"),
        ("SK", r"(?<![A-Za-z0-9])SK[0-9a-f]{32}(?![A-Za-z0-9])"),
        ("npm_", r"npm_[A-Za-z0-9]{30,}"),
        ("pypi-AgE", r"pypi-AgE[A-Za-z0-9_\-]{16,}"),
        *((f"do{kind}_v1_", rf"do{kind}_v1_[0-9a-f]{{40,}}") for kind in "opr"),
        ("dapi", r"(?<![A-Za-z0-9])dapi[0-9a-f]{32}"),
        *(
            (f"{kind}-", rf"(?<![A-Za-z0-9]){kind}-[A-Za-z0-9_\-]{{16,}}")
            for kind in "gldt glrt glcbt glptt glft glsoat glagent glimt glffct".split()
        ),
        ("GOCSPX-", r"GOCSPX-[A-Za-z0-9_\-]{16,}"),
        ("nvapi-", r"nvapi-[A-Za-z0-9_\-]{20,}"),
        ("csk-", r"(?<![A-Za-z0-9])csk-[A-Za-z0-9]{20,}"),
        ("key-", r"(?<![A-Za-z0-9])key-[0-9a-f]{32}(?![A-Za-z0-9])"),
        ("PMAK-", r"PMAK-[0-9a-f]{20,}-[0-9a-f]{20,}"),
        ("xkeysib-", r"xkeysib-[A-Za-z0-9\-]{32,}"),
        ("CFPAT-", r"CFPAT-[A-Za-z0-9_\-]{32,}"),
        ("na1-", r"(?<![A-Za-z0-9])pat-(?:na|eu)[0-9]-[0-9a-f\-]{32,}"),
        ("eu1-", r"(?<![A-Za-z0-9])pat-(?:na|eu)[0-9]-[0-9a-f\-]{32,}"),
        *((f"sq0{kind}-", rf"sq0{kind}-[A-Za-z0-9_\-]{{20,}}") for kind in ("atp", "csp", "idp")),
        ("AGE-SECRET-KEY-", r"AGE-SECRET-KEY-1[A-Z0-9]{30,}"),
        ("sk_", r"(?<![A-Za-z0-9])sk_[0-9a-f]{40,}(?![A-Za-z0-9])"),
        ("fw_", r"(?<![A-Za-z0-9])fw_[A-Za-z0-9]{22,}"),
        ("dckr_pat_", r"dckr_(?:pat|oat)_[A-Za-z0-9_\-]{20,}"),
        ("pscale_", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_\-.]{20,}"),
        ("jina_", r"(?<![A-Za-z0-9])jina_[A-Za-z0-9]{30,}"),
        ("e2b_", r"(?<![A-Za-z0-9])e2b_[0-9a-f]{30,}"),
        ("sbp_", r"(?<![A-Za-z0-9])sbp_[0-9a-f]{32,}"),
        ("sb_secret_", r"sb_secret_[A-Za-z0-9_\-]{20,}"),
        ("phx_", r"(?<![A-Za-z0-9])phx_[A-Za-z0-9]{30,}"),
        ("rpa_", r"(?<![A-Za-z0-9])rpa_[A-Za-z0-9]{30,}"),
        ("sgp_", r"(?<![A-Za-z0-9])sgp_[A-Za-z0-9_]{32,}"),
        ("glc_", r"(?<![A-Za-z0-9])glc_[A-Za-z0-9+/=]{32,}"),
        ("wandb_v1_", r"wandb_v1_[A-Za-z0-9_]{20,}"),
        ("dp.", r"(?<![A-Za-z0-9])dp\.(?:pt|st|sa|ct|scim|audit)\.[A-Za-z0-9_\-.]{30,}"),
        (":APA91b", r"[A-Za-z0-9_\-]{8,40}:APA91b[A-Za-z0-9_\-]{60,}"),
        ("AstraCS:", r"AstraCS:[A-Za-z0-9]{16,}(?::[0-9a-f]{32,})?"),
        ("sig=", r"(?<=[?&;]sig=)[A-Za-z0-9%+/=\-_]{16,}"),
        ("ignature=", r"(?<=[Ss]ignature=)[A-Za-z0-9%+/=\-_~]{20,}"),
        ("whsec_", r"whsec_[A-Za-z0-9+/=]{16,}"),
        ("shp", r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{24,}"),
        ("ntn_", r"(?<![A-Za-z0-9])ntn_[A-Za-z0-9]{24,}"),
        ("secret_", r"(?<![A-Za-z0-9])secret_[A-Za-z0-9]{32,}"),
        ("lin_api_", r"lin_api_[A-Za-z0-9]{24,}"),
        ("hvs.", r"hvs\.[A-Za-z0-9_\-]{20,}"),
        ("figd_", r"figd_[A-Za-z0-9_\-]{20,}"),
        ("glsa_", r"glsa_[A-Za-z0-9_]{24,}"),
        ("NRAK-", r"NRAK-[A-Z0-9]{20,}"),
        ("sntry", r"sntry[su]_[A-Za-z0-9_=\-+/]{20,}"),
        ("ATATT3", r"ATATT3[A-Za-z0-9_\-=]{20,}"),
        # A JSON Web Token; one whose end was cut away is still one.
        ("eyJ", r"eyJ[A-Za-z0-9_\-]{10,}(?:\.[A-Za-z0-9_\-]+){1,4}|eyJ[A-Za-z0-9_\-]{80,}"),
        (":AA", r"(?<![0-9])[0-9]{8,10}:AA[A-Za-z0-9_\-]{30,}"),
        # Addresses that take messages from whoever knows them.
        ("hooks.slack.com", r"(?<=hooks\.slack\.com/)(?:services|workflows|triggers)/[\w/\-]{8,}"),
        *(
            (host, r"(?<=/webhooks/)[0-9]{5,25}/[\w\-]{8,}")
            for host in ("discord.com/", "discordapp.com/")
        ),
        ("office.com/", r"(?<=office\.com/webhook)(?:b2)?/[\w@/\-]{16,}"),
        ("zapier.com/", r"(?<=hooks\.zapier\.com/hooks/catch/)[\w/\-]{8,}"),
        ("ifttt.com/", r"(?<=/with/key/)[\w\-]{12,}"),
        ("jdbc:oracle:", r"(?<=jdbc:oracle:)\w{1,20}:[^\s/@:\"']{1,128}/[^\s@\"']{1,256}(?=@)"),
        ("AccountKey=", r"(?<=AccountKey=)[A-Za-z0-9+/=]{20,}"),
    )
)

# What is written where there is no secret.
NO_SECRETS: Final = frozenset({"None", "null", "True", "False", "true", "false"})
# What is said of a name in prose, schemas and source code, and is no secret: in "password: str".
NOT_A_VALUE: Final = frozenset(
    """
    any array bool boolean bytes callable char dict disabled enabled false float int
    integer list literal mapping missing never none null number object off optional
    required secretbytes secretstr string str text true type undefined union unknown unset
    valid varchar void invalid incorrect wrong yes
    """.split()
)
# What follows "bearer" in English.
NOT_A_BEARER_TOKEN: Final = frozenset(
    """
    authentication authorization authorisation certificate certificates challenge
    credential credentials instrument instruments security token-based
    """.split()
)

# What these names end in, where a colon follows, is a place, as in "auth.py:12", or a fault.
NOT_A_NAME: Final = (
    *("error", "exception", "warning"),
    *(
        ".c .cc .cpp .cs .css .go .h .hpp .html .ini .java .js .json .jsx .kt .lock .log .md".split()
    ),
    *(".php .py .pyi .rb .rs .scala .sh .sql .swift .toml .ts .tsx .txt .xml .yaml .yml".split()),
)
# How something is hashed, encoded or signed in, and no secret: in `auth: OAuth2`.
NAMES_A_FORM: Final = pattern(
    r"(?i)(?:base|sha|utf|aes|rsa|hs|rs|es|ps|md|oauth|http|ed|argon|pbkdf|scram-sha|bcrypt|saml|pkcs)"
    r"[_ \-]?[0-9.]{1,5}(?:[_\-](?:gcm|cbc|hmac|sha256|id|json))?|h?mac-sha-?[0-9]{1,3}|x509"
)
# `1.12.3-alpine` is a version, `8443/login` a port and a path.
VERSION_OR_PORT: Final = pattern(r"v?[0-9]+(?:\.[0-9]+){1,3}[\w.+\-]*|[0-9]{2,5}/.*")

BEARER: Final = pattern(r"(?i)\b(bearer|basic)([ \t]{1,4})([A-Za-z0-9._~+/=\-]{8,})")
PRIVATE_KEY_LINE: Final = pattern(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
# A password may hold a slash, unless what is before the slash is a port.
URL_PASSWORD: Final = pattern(
    r"://([^\s/:@?#\"']{0,256}):(?:[^\s/\"']{1,512}|(?![0-9]{1,5}[/?#])[^\s\"'@]{1,512})@"
)
URL_USER: Final = pattern(r"://([A-Za-z0-9_\-.~%]{20,256})@")
# Of those that keep code, a user is a token: it has no password.
URL_TOKEN: Final = pattern(
    r"(?<=https://)(?!(?:git|hg|oauth2|user|username|x-access-token)@)[A-Za-z0-9_\-.~%]{1,19}"
    r"(?=@(?:[\w\-]{1,40}\.)?(?:github|gitlab|ghe|gitea|codeberg|huggingface)\.)"
)
URL_MIXED_USER: Final = pattern(
    r"(?<=[ps]://)(?=[^@\d]{0,19}\d)(?=[^@A-Za-z]{0,19}[A-Za-z])[A-Za-z0-9_\-~%]{12,19}(?=@)"
)

# A header takes the rest of its line, unless it stands in quotes. One whose value is quoted is
# an assignment. The start of a line may be written as an escape.
HEADER_LINES: Final = tuple(
    pattern(
        rf"(?i)(?:(?<![\w\-])|(?<=\\[nrt])){before}"
        r"((?:[a-z0-9]{1,20}-){0,4}(?:authorization|cookie2?))"
        r"(\\{0,15}[\"']?[ \t]{0,4}:(?!\s{0,4}\\{0,15}[\"'])[ \t]{0,4})"
        rf"([^\r\n\\{until}]+)"
    )
    for before, until in ((r"(?<=\")", r"\""), (r"(?<=')", "'"), (r"(?<![\"'])", ""))
)

# `name = `, `"name": `, `--name=`, `name: Type = `: the value's verdict depends on the name's.
# All on one line: what follows an empty `NAME=` is the next name. A form writes `a[name]` as
# `a%5Bname%5D`.
NAME: Final = pattern(
    r"(?:(?<![\w.\-])|(?<=%5B)|(?<=%5b))([\w\-][\w.\-]{0,80})"
    r"((?:%5[Dd])?\\{0,31}[\"'`]?[\]}]?\*{0,2}[ \t]{0,4}"
    r"(?::[ \t]{0,4}([A-Za-z_][\w.]{0,40})(?:\[[\w.,| ]{0,40}\])?(?: \| \w{1,40}){0,4} {1,2}=(?!=)"
    r"|:=|=>|->|<-|→|：|＝|(?:!|\+|\?{1,2}|\|\|)?={1,3}|:(?!:))"  # noqa: RUF001 - other separators than ASCII's
    r"(?:\*{1,2}(?=[ \t]))?[ \t]{0,4}(?:!{1,2}\w{1,40}[ \t]{1,4})?(?:[bBfFrRuU]{1,2}(?=[\"']))?)"
)
# A value of YAML on the lines below its name.
BLOCK: Final = pattern(r"[|>][+\-0-9]{0,2}[ \t]{0,40}(?:#[^\n]*)?\r?\n")
ITEM: Final = pattern(r"\r?\n?([ \t]*-[ \t]{1,8})([^\s\"',;:()\[\]{}]{8,})[ \t]*(?=\r?\n|\Z)")
# What joins a string to the next one of the same value; and, where a string's quote is missing,
# the lines up to it.
ADJACENT: Final = pattern(
    r"(?:[ \t]{0,8}(?:\+|\|\||&|\.|\\(?=\r?\n))[ \t]{0,8}(?:\\?\r?\n[ \t]{0,80})?|[ \t]{0,2})"
    r"[bBfFrRuU]{0,2}(?=[\"'])"
)
CONTINUED: Final = {
    quote: pattern(
        rf"(?:\r?\n[^{quote}\r\n]{{0,400}}){{1,6}}(?<![\s=:,(\[{{]){quote}(?=[\s,;)}}\]]|\Z)"
    )
    for quote in ('"', "'")
}
# One word of letters and digits in brackets: `<x9y8z7>`; in others than these code stands too.
ANGLED: Final = pattern(
    r"(?:(?<!\\)<(?!0x)|[\[({](?![A-Za-z_]\w{0,200}[\])}]))"
    r"((?=[^<>0-9]{0,80}[0-9])(?=[^<>A-Za-z]{0,80}[A-Za-z])[^\s<>\[\](){}\"'=/:,]{6,200})"
    r"[>\])}](?=[\s;,]|\Z)"
)
IN_BACKTICKS: Final = pattern(r"`([^`\n]{1,400})`")
# The rest of a line `NAME=...` of settings, which has characters of every kind.
SETTING: Final = pattern(r"[^\s\"'\\]+(?=[ \t]*(?:\r?\n|\Z))")
# What opens a list, tuple or mapping, and what is in it.
BRACKET: Final = pattern(r"(?:[A-Za-z_]\w{0,40})?[\[({]")
WITHIN: Final = pattern(r"(\\{0,31})([\"'])|([\[({])|([\])}])|(\n)")
# A string in quotes, within JSON once or twice escaped too: the closing quote has as many
# backslashes as the opening one. It may be cut short. No two alternatives can begin alike.
QUOTED: Final = pattern(
    r"\"\"\"(?:[^\"]|\"(?!\"\"))*(?:\"\"\")?"
    r"|'''(?:[^']|'(?!''))*(?:''')?"
    r"|\"(?:[^\"\\\n]|\\.)*\"?"
    r"|'(?:[^'\\\n]|\\.)*'?"
    r"|\\\"(?:[^\"\\\n]|\\[^\"\\\n]|\\\\(?:\\\"|\\\\|[^\"\\\n]))*(?:\\\")?"
    r"|\\'(?:[^'\\\n]|\\[^'\\\n]|\\\\(?:\\'|\\\\|[^'\\\n]))*(?:\\')?"
    r"|\\{3}\"(?:[^\"\\\n]|\\{1,3}[^\"\\\n]|\\{4}(?:\\{3}\"|\\{4}|[^\"\\\n]))*(?:\\{3}\")?"
)
# What stands without quotes, and the string that a call such as `SecretStr("x")` is given.
UNQUOTED: Final = pattern(
    r"[^\s,;&\"'(){}\[\]<>\\]+(?:\([ \t]{0,4}[bBfFrRuU]{0,2}(?:\"[^\"\n]*\"?|'[^'\n]*'?))?"
)
