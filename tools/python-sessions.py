"""Writes databases as the session classes of the OpenAI Agents SDK for Python do, for tests of readPythonStore().

The tables, indexes, orders and numbers are those of the published SQLiteSession, AdvancedSQLiteSession,
SQLAlchemySession and EncryptedSession; the code is not theirs.

    python-sessions.py sqlite    FILE [--key TEXT] [--sessions N]      SQLiteSession
    python-sessions.py advanced  FILE [--key TEXT]                     AdvancedSQLiteSession: branches, turns, usage
    python-sessions.py alchemy   FILE [--key TEXT]                     SQLAlchemySession on SQLite
    python-sessions.py postgres  -    [--key TEXT] [--prefix NAME]     the same, as SQL for PostgreSQL, one statement a line
    python-sessions.py mysql     -    [--key TEXT] [--prefix NAME]     the same, as SQL for MariaDB and MySQL
"""

import argparse
import base64
import json
import sqlite3
import sys

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def user(text):
    return {"role": "user", "content": text}


def answer(text):
    return {"id": "msg_" + text.replace(" ", "_"), "type": "message", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]}


def call(number, name, arguments):
    return {"id": f"fc_{number}", "type": "function_call", "call_id": f"call_{number}", "name": name,
            "arguments": json.dumps(arguments), "status": "completed"}


def result(number, output):
    return {"type": "function_call_output", "call_id": f"call_{number}", "output": output}


def thought(text):
    return {"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": text}],
            "encrypted_content": "gAAA"}


SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed",
          "action": {"type": "search", "query": "strong rooms", "sources": None}}
FIRST = [user("What is 2+2? \u00fc\U0001F511"), thought("hm"), call(1, "add", {"a": 2, "b": 2}), result(1, "4"), answer("It is 4.")]
SECOND = [user("And the picture?"), call(2, "draw", {}),
          result(2, [{"type": "input_text", "text": "here"}, {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "auto"}]),
          SEARCH, answer("Here it is.")]


class Encryption:
    """EncryptedSession: what it passes to the session below."""

    def __init__(self, key, session_id):
        if key is None:
            self.fernet = None
            return
        master = key.encode()
        try:
            decoded = base64.urlsafe_b64decode(key)
            if len(decoded) == 32:
                master = decoded
        except Exception:
            pass
        kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=session_id.encode(), info=b"agents.session-store.hkdf.v1")
        self.fernet = Fernet(base64.urlsafe_b64encode(kdf.derive(master)))

    def wrap(self, item):
        if self.fernet is None:
            return item
        text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
        return {"__enc__": 1, "v": 1, "kid": "hkdf-v1", "payload": self.fernet.encrypt(text.encode()).decode()}


SQLITE = [
    "CREATE TABLE IF NOT EXISTS agent_sessions (session_id TEXT PRIMARY KEY, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, "
    "updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP)",
    "CREATE TABLE IF NOT EXISTS agent_messages (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, message_data TEXT NOT NULL, "
    "created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, FOREIGN KEY (session_id) REFERENCES agent_sessions (session_id) ON DELETE CASCADE)",
    "CREATE INDEX IF NOT EXISTS idx_agent_messages_session_id ON agent_messages (session_id, id)",
]
ADVANCED = [
    "CREATE TABLE IF NOT EXISTS message_structure (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, message_id INTEGER NOT NULL, "
    "branch_id TEXT NOT NULL DEFAULT 'main', message_type TEXT NOT NULL, sequence_number INTEGER NOT NULL, user_turn_number INTEGER, "
    "branch_turn_number INTEGER, tool_name TEXT, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, "
    "FOREIGN KEY (session_id) REFERENCES agent_sessions(session_id) ON DELETE CASCADE, "
    "FOREIGN KEY (message_id) REFERENCES agent_messages(id) ON DELETE CASCADE)",
    "CREATE TABLE IF NOT EXISTS turn_usage (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, branch_id TEXT NOT NULL DEFAULT 'main', "
    "user_turn_number INTEGER NOT NULL, requests INTEGER DEFAULT 0, input_tokens INTEGER DEFAULT 0, output_tokens INTEGER DEFAULT 0, "
    "total_tokens INTEGER DEFAULT 0, input_tokens_details JSON, output_tokens_details JSON, created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP, "
    "FOREIGN KEY (session_id) REFERENCES agent_sessions(session_id) ON DELETE CASCADE, UNIQUE(session_id, branch_id, user_turn_number))",
    "CREATE INDEX IF NOT EXISTS idx_structure_session_seq ON message_structure(session_id, sequence_number)",
    "CREATE INDEX IF NOT EXISTS idx_structure_branch ON message_structure(session_id, branch_id)",
]


class Plain:
    """SQLiteSession."""

    def __init__(self, db, session_id, key):
        self.db, self.id, self.encryption, self.clock = db, session_id, Encryption(key, session_id), 0

    def now(self):
        """One minute an append, from 2026-01-01 on."""
        self.clock += 1
        return f"2026-01-01 00:{self.clock:02d}:00"

    def add(self, items):
        at = self.now()
        self.db.execute("INSERT OR IGNORE INTO agent_sessions (session_id) VALUES (?)", (self.id,))
        ids = []
        for item in items:
            row = (self.id, json.dumps(self.encryption.wrap(item)), at)
            ids.append(self.db.execute("INSERT INTO agent_messages (session_id, message_data, created_at) VALUES (?, ?, ?)", row).lastrowid)
        self.db.commit()
        return ids, at

    def pop(self):
        self.db.execute("DELETE FROM agent_messages WHERE id = (SELECT id FROM agent_messages WHERE session_id = ? ORDER BY id DESC LIMIT 1)",
                        (self.id,))
        self.db.commit()


class Advanced(Plain):
    """AdvancedSQLiteSession."""

    branch = "main"

    def one(self, sql, *values):
        return self.db.execute(sql, values).fetchone()

    def place(self, rows):
        self.db.executemany("INSERT INTO message_structure (session_id, message_id, branch_id, message_type, sequence_number, user_turn_number, "
                            "branch_turn_number, tool_name, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self.db.commit()

    def last_sequence(self):
        return self.one("SELECT COALESCE(MAX(sequence_number), 0) FROM message_structure WHERE session_id = ?", self.id)[0]

    def add(self, items):
        ids, at = super().add(items)
        sequence = self.last_sequence()
        turn, branch_turn = self.one("SELECT COALESCE(MAX(user_turn_number), 0), COALESCE(MAX(branch_turn_number), 0) FROM message_structure "
                                     "WHERE session_id = ? AND branch_id = ?", self.id, self.branch)
        rows, users = [], 0
        for number, (item, message) in enumerate(zip(items, ids)):
            seen = self.encryption.wrap(item)
            users += seen.get("role") == "user"
            kind = seen["role"] if seen.get("role") in ("user", "assistant") else seen.get("type", "other")
            rows.append((self.id, message, self.branch, kind, sequence + number + 1, turn + users, branch_turn + users, seen.get("name"), at))
        self.place(rows)

    def create_branch(self, turn, name):
        at, sequence = self.now(), self.last_sequence()
        rows = self.db.execute("SELECT message_id, message_type, user_turn_number, branch_turn_number, tool_name FROM message_structure "
                               "WHERE session_id = ? AND branch_id = ? AND branch_turn_number < ? ORDER BY sequence_number",
                               (self.id, self.branch, turn)).fetchall()
        self.place([(self.id, message, name, kind, sequence + number + 1, user_turn, branch_turn, tool, at)
                    for number, (message, kind, user_turn, branch_turn, tool) in enumerate(rows)])
        self.branch = name

    def delete_branch(self, name):
        self.db.execute("DELETE FROM turn_usage WHERE session_id = ? AND branch_id = ?", (self.id, name))
        self.db.execute("DELETE FROM message_structure WHERE session_id = ? AND branch_id = ?", (self.id, name))
        self.db.commit()
        self.branch = "main"

    def usage(self, requests, tokens_in, tokens_out, cached):
        turn = self.one("SELECT COALESCE(MAX(user_turn_number), 0) FROM message_structure WHERE session_id = ? AND branch_id = ?",
                        self.id, self.branch)[0]
        self.db.execute("INSERT OR REPLACE INTO turn_usage (session_id, branch_id, user_turn_number, requests, input_tokens, output_tokens, "
                        "total_tokens, input_tokens_details, output_tokens_details) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        (self.id, self.branch, turn, requests, tokens_in, tokens_out, tokens_in + tokens_out,
                         json.dumps({"cached_tokens": cached}), json.dumps({"reasoning_tokens": 1})))
        self.db.commit()


def sqlite_database(path, key, sessions):
    db = sqlite3.connect(path)
    db.execute("PRAGMA journal_mode=WAL")
    for statement in SQLITE:
        db.execute(statement)
    for number in range(sessions):
        session = Plain(db, f"user-{number}", key)
        session.add(FIRST)
        session.add(SECOND)
    empty = Plain(db, "cleared", key)
    empty.add([user("gone")])
    empty.pop()
    db.close()


def advanced_database(path, key):
    db = sqlite3.connect(path)
    for statement in SQLITE + ADVANCED:
        db.execute(statement)
    tree = Advanced(db, "tree", key)
    tree.add(FIRST)
    tree.usage(2, 100, 20, 64)
    tree.add(SECOND)
    tree.usage(1, 200, 30, 0)
    tree.create_branch(2, "other way")
    tree.add([user("Forget the picture.")])
    tree.add([answer("Very well.")])
    tree.usage(1, 50, 5, 0)
    tree.create_branch(2, "third")
    tree.add([user("A third way."), answer("Yes.")])
    tree.branch = "main"
    tree.create_branch(1, "from nothing")
    tree.add([user("Anew."), answer("Of course.")])
    tree.branch = "main"
    tree.create_branch(2, "deleted")
    tree.add([user("Never mind."), answer("Done.")])
    tree.usage(9, 9, 9, 9)
    tree.delete_branch("deleted")
    # A turn whose messages were popped: the next one keeps the numbers of after it.
    gaps = Advanced(db, "gaps", key)
    gaps.add([user("One."), answer("First.")])
    gaps.usage(1, 10, 1, 0)
    gaps.add([user("Two.")])
    gaps.pop()
    gaps.add([user("Three."), answer("Third.")])
    gaps.usage(1, 30, 3, 0)
    # Written by SQLiteSession into the same file: no structure.
    Plain(db, "plain", key).add(FIRST)
    db.close()


def quoted(text, mysql):
    text = text.replace("'", "''")
    return "'" + (text.replace("\\", "\\\\") if mysql else text) + "'"


def alchemy_rows(key):
    """(session, item, time): of the second session two rows have times in the other order than their ids."""
    rows = []
    for session in ("user-0", "Ä b"):
        encryption = Encryption(key, session)
        for minute, items in enumerate((FIRST, SECOND), 1):
            rows += [(session, json.dumps(encryption.wrap(item), separators=(",", ":")), f"2026-01-01 00:{minute:02d}:00") for item in items]
    encryption = Encryption(key, "clock")
    rows += [("clock", json.dumps(encryption.wrap(user("second")), separators=(",", ":")), "2026-01-01 00:02:00"),
             ("clock", json.dumps(encryption.wrap(user("first")), separators=(",", ":")), "2026-01-01 00:01:00")]
    return rows


def alchemy_sql(dialect, key, prefix):
    text, serial, tail, quote = {
        "sqlite": ("VARCHAR", "INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT", "", ""),
        "postgres": ("VARCHAR", "SERIAL PRIMARY KEY", "", '"'),
        "mysql": ("VARCHAR(190) COLLATE utf8mb4_bin", "INTEGER NOT NULL PRIMARY KEY AUTO_INCREMENT", " CHARACTER SET utf8mb4", "`"),
    }[dialect]
    kind = "TIMESTAMP" if dialect != "postgres" else "TIMESTAMP WITHOUT TIME ZONE"
    sessions, messages = f"{quote}{prefix}agent_sessions{quote}", f"{quote}{prefix}agent_messages{quote}"
    yield (f"CREATE TABLE {sessions} (session_id {text} NOT NULL PRIMARY KEY, created_at {kind} DEFAULT CURRENT_TIMESTAMP NOT NULL, "
           f"updated_at {kind} DEFAULT CURRENT_TIMESTAMP NOT NULL){tail}")
    yield (f"CREATE TABLE {messages} (id {serial}, session_id {text} NOT NULL, message_data TEXT NOT NULL, "
           f"created_at {kind} DEFAULT CURRENT_TIMESTAMP NOT NULL, "
           f"FOREIGN KEY(session_id) REFERENCES {sessions} (session_id) ON DELETE CASCADE){tail}")
    yield f"CREATE INDEX {quote}idx_{prefix}agent_messages_session_time{quote} ON {messages} (session_id, created_at)"
    mysql = dialect == "mysql"
    seen = set()
    for session, data, at in alchemy_rows(key):
        if session not in seen:
            seen.add(session)
            yield f"INSERT INTO {sessions} (session_id) VALUES ({quoted(session, mysql)})"
        yield (f"INSERT INTO {messages} (session_id, message_data, created_at) "
               f"VALUES ({quoted(session, mysql)}, {quoted(data, mysql)}, {quoted(at, mysql)})")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["sqlite", "advanced", "alchemy", "postgres", "mysql"])
    parser.add_argument("file")
    parser.add_argument("--key")
    parser.add_argument("--prefix", default="")
    parser.add_argument("--sessions", type=int, default=2)
    given = parser.parse_args()
    if given.kind == "sqlite":
        sqlite_database(given.file, given.key, given.sessions)
    elif given.kind == "advanced":
        advanced_database(given.file, given.key)
    elif given.kind == "alchemy":
        db = sqlite3.connect(given.file)
        for statement in alchemy_sql("sqlite", given.key, given.prefix):
            db.execute(statement)
        db.commit()
        db.close()
    else:
        sys.stdout.reconfigure(encoding="utf-8")
        print("\n".join(alchemy_sql(given.kind, given.key, given.prefix)))


main()
