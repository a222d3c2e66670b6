"""The names and shapes of secrets, as data; `_masking` holds the rules that use them."""

from __future__ import annotations

import re
from typing import Final

# What the documents promise: a key that contains one of these is masked.
ALWAYS_SECRET: Final = ("password", "secret", "credential", "auth")
OFTEN_SECRET: Final = ("token", "key")
# Names outside that promise that carry nothing but secrets; they must be whole words.
SECRET_WORDS: Final = frozenset(
    ["passwd", "passphrase", "pwd", "bearer", "jwt", "cookie", "cookies", "passcode"]
)

# Whole words that contain one of the patterns and mean something else.
HARMLESS_WORDS: Final = frozenset(
    [
        "author",
        "authors",
        "authored",
        "authoring",
        "authority",
        "authorities",
        "authoritative",
        "authorship",
        "coauthor",
        "coauthors",
        "authentic",
        "authenticity",
        "donkey",
        "donkeys",
        "hockey",
        "hotkey",
        "hotkeys",
        "jockey",
        "keyboard",
        "keyboards",
        "keyed",
        "keyframe",
        "keyframes",
        "keyhole",
        "keynote",
        "keynotes",
        "keypad",
        "keyphrase",
        "keyphrases",
        "keypoint",
        "keypoints",
        "keyspace",
        "keyspaces",
        "keystone",
        "keystroke",
        "keystrokes",
        "keyword",
        "keywords",
        "monkey",
        "monkeypatch",
        "monkeys",
        "passkeys",
        "turkey",
        "whiskey",
        "secretariat",
        "secretaries",
        "secretary",
        "secretion",
        "detokenize",
        "detokenized",
        "tokenization",
        "tokenize",
        "tokenized",
        "tokenizer",
        "tokenizers",
        "tokenizes",
        "tokenizing",
        "pretokenized",
    ]
)

# Runs of words of which the last or first is `key` or `token`, and that name plain data. A
# number is a word of its own.
HARMLESS_PHRASES: Final = tuple(
    tuple(phrase.split())
    for phrase in """
    added token|bos token|cls token|decoder token|end token|eos token|eot token|mask token
    pad token|sep token|special token|special tokens|start token|stop token|stop tokens
    unk token|token embedding|token embeddings|token id|token ids|token index|token logprob
    token logprobs|token offset|token offsets|token span|token type|token types
    token classification
    cache key|candidate key|composite key|config key|dedup key|dedupe key|dict key|foreign key
    grouping key|group key|hash key|idempotency key|index key|join key|lookup key|message key
    metric key|natural key|object key|parent key|partition key|primary key|range key|row key
    routing key|s 3 key|shard key|sort key|sorting key|surrogate key|translation key|unique key
    key aspect|key aspects|key concept|key concepts|key contact|key contacts|key dates
    key decision|key decisions|key detail|key details|key error|key event|key events|key fact
    key facts|key feature|key features|key finding|key findings|key idea|key ideas|key insight
    key insights|key issue|key issues|key item|key items|key learnings|key message
    key messages|key metric|key metrics|key people|key performance|key phrase|key phrases
    key player|key players|key point|key points|key question|key questions|key result
    key results|key risk|key risks|key stat|key stats|key step|key steps|key takeaway
    key takeaways|key term|key terms|key theme|key themes|key topic|key topics|key word
    key words|key press|key code|key codes|key type|key schema
    """.replace("\n", "|").split("|")
    if phrase.strip()
)

# A token or key name with one of these words counts something.
COUNTING_WORDS: Final = frozenset(
    """
    average avg budget ceiling consumed cost count counts duration first latency len length
    limit limits max maximum mean median min minimum ms n num number per position price
    quota rate ratio remaining seconds size sum threshold throughput tokens
    total totals usage used
    """.split()
)

# Names of the semantic conventions that contain a pattern and are never secret.
SAFE_NAMES: Final = frozenset(
    [
        "feature_flag.key",
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
    (hint, re.compile(shape))
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
        ("xox", r"xox[abeoprs]-[A-Za-z0-9\-]{8,}"),
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
        ("_v1_", r"do[opr]_v1_[0-9a-f]{40,}"),
        ("dapi", r"(?<![A-Za-z0-9])dapi[0-9a-f]{32}"),
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
        ("AccountKey=", r"(?<=AccountKey=)[A-Za-z0-9+/=]{20,}"),
    )
)

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
# `1.12.3-alpine` is a version, `8443/login` a port and a path.
VERSION_OR_PORT: Final = re.compile(r"v?[0-9]+(?:\.[0-9]+){1,3}[\w.+\-]*|[0-9]{2,5}/.*")

BEARER: Final = re.compile(r"(?i)\b(bearer|basic)([ \t]{1,4})([A-Za-z0-9._~+/=\-]{8,})")
PRIVATE_KEY_LINE: Final = re.compile(r"-----(BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
URL_PASSWORD: Final = re.compile(r"://([^\s/:@?#\"']{0,256}):([^\s/\"']{1,512})@")
URL_USER: Final = re.compile(r"://([A-Za-z0-9_\-.~%]{20,256})@")

# A header takes the rest of its line, unless it stands in quotes. One whose value is quoted is
# an assignment. The start of a line may be written as an escape.
HEADER_LINES: Final = tuple(
    re.compile(
        rf"(?i)(?:(?<![\w\-])|(?<=\\[nrt])){before}"
        r"((?:proxy-)?authorization|(?:set-)?cookie)"
        r"(\\{0,3}[\"']?[ \t]{0,4}:(?!\s{0,4}\\{0,3}[\"'])[ \t]{0,4})"
        rf"([^\r\n\\{until}]+)"
    )
    for before, until in ((r"(?<=\")", r"\""), (r"(?<=')", "'"), (r"(?<![\"'])", ""))
)

# `name = `, `"name": `, `--name=`, `name: Type = `: the value's verdict depends on the name's.
# All on one line: what follows an empty `NAME=` is the next name.
NAME: Final = re.compile(
    r"(?<![\w.\-])([A-Za-z_\-][\w.\-]{0,80})"
    r"(\\{0,3}[\"']?\]?[ \t]{0,4}"
    r"(?::[ \t]{0,4}[A-Za-z_][\w.]{0,40}(?:\[[\w.,| ]{0,40}\])?(?: \| \w{1,40}){0,4} {1,2}=(?!=)"
    r"|:=|=>|!?={1,3}|:(?!:))"
    r"[ \t]{0,4}(?:[bBfFrRuU]{1,2}(?=[\"']))?)"
)
# A string in quotes, within JSON once or twice escaped too: the closing quote has as many
# backslashes as the opening one. It may be cut short. No two alternatives can begin alike.
QUOTED: Final = re.compile(
    r"\"\"\"(?:[^\"]|\"(?!\"\"))*(?:\"\"\")?"
    r"|'''(?:[^']|'(?!''))*(?:''')?"
    r"|\"(?:[^\"\\\n]|\\.)*\"?"
    r"|'(?:[^'\\\n]|\\.)*'?"
    r"|\\\"(?:[^\"\\\n]|\\[^\"\\\n]|\\\\(?:\\\"|\\\\|[^\"\\\n]))*(?:\\\")?"
    r"|\\'(?:[^'\\\n]|\\[^'\\\n]|\\\\(?:\\'|\\\\|[^'\\\n]))*(?:\\')?"
    r"|\\{3}\"(?:[^\"\\\n]|\\{1,3}[^\"\\\n]|\\{4}(?:\\{3}\"|\\{4}|[^\"\\\n]))*(?:\\{3}\")?"
)
# What stands without quotes, and the string that a call such as `SecretStr("x")` is given.
UNQUOTED: Final = re.compile(
    r"[^\s,;&\"'(){}\[\]<>\\]+(?:\([ \t]{0,4}[bBfFrRuU]{0,2}(?:\"[^\"\n]*\"?|'[^'\n]*'?))?"
)
