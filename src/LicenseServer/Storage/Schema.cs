namespace LicenseServer.Storage;

/// <summary>
/// The tables, as forward-only migrations: entry n takes a database of version n to n + 1, and none is ever edited.
/// Times are Unix milliseconds. No column holds a secret, nor anything that opens one.
/// </summary>
internal static class Schema
{
    public static readonly IReadOnlyList<string> Migrations = [Version1, Version2, Version3];

    private const string Version3 = """
        -- Why the agent is taken for two machines, until an operator decides.
        ALTER TABLE agents ADD COLUMN clone_since INTEGER;
        ALTER TABLE agents ADD COLUMN clone_evidence TEXT;
        -- Recoveries before this count no more: an operator has looked.
        ALTER TABLE agents ADD COLUMN recovery_approved INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE agent_clocks ADD COLUMN boots TEXT NOT NULL DEFAULT '[]';
        -- Where enrolments wait for an operator: the key that asked, and the one that was approved.
        ALTER TABLE enrollment_tokens ADD COLUMN waiting TEXT;
        ALTER TABLE enrollment_tokens ADD COLUMN approved TEXT;
        -- The life of each signing key; times are null until they come.
        CREATE TABLE signing_keys (
            kid         TEXT PRIMARY KEY,
            scope       TEXT NOT NULL,
            announced   INTEGER NOT NULL,
            announced_in INTEGER NOT NULL,
            signs_since INTEGER,
            retired     INTEGER,
            keep_until  INTEGER,
            dropped_in  INTEGER
        ) STRICT, WITHOUT ROWID;
        """;

    private const string Version2 = """
        -- A loss of an agent's TPM: first refused, first accepted request by its software key, and an operator's word.
        CREATE TABLE software_fallback (
            agent_id       TEXT PRIMARY KEY REFERENCES agents,
            asked          INTEGER,
            since          INTEGER,
            approved_until INTEGER
        ) STRICT, WITHOUT ROWID;
        -- Versions that were made for a software key.
        CREATE TABLE software_versions (
            agent_id    TEXT NOT NULL REFERENCES agents,
            version     INTEGER NOT NULL,
            PRIMARY KEY (agent_id, version)
        ) STRICT, WITHOUT ROWID;
        """;

    private const string Version1 = """
        CREATE TABLE agents (
            agent_id            TEXT PRIMARY KEY,
            created             INTEGER NOT NULL,
            enrolled            INTEGER,
            highest             INTEGER NOT NULL DEFAULT 0,
            -- directive levels
            suspended           INTEGER NOT NULL DEFAULT 0,
            limit_grace_until   INTEGER,
            invalidate_below    INTEGER NOT NULL DEFAULT 0,
            rotate_above        INTEGER,
            re_enroll           INTEGER NOT NULL DEFAULT 0,
            revocations_version INTEGER NOT NULL DEFAULT 0,
            -- what the last check-in reported
            last_seen           INTEGER,
            mode                TEXT,
            lock_reason         TEXT,
            agent_active        INTEGER,
            held_versions       TEXT NOT NULL DEFAULT '[]',
            protection          TEXT,
            tpm                 TEXT,
            agent_version       TEXT,
            keyset_version      INTEGER,
            audit_regressed     INTEGER NOT NULL DEFAULT 0,
            witness_timestamp   INTEGER NOT NULL DEFAULT 0
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE agent_keys (
            agent_id    TEXT NOT NULL REFERENCES agents,
            thumbprint  TEXT NOT NULL,
            is_fallback INTEGER NOT NULL,
            signing     TEXT NOT NULL,
            decryption  TEXT NOT NULL,
            added       INTEGER NOT NULL,
            retired     INTEGER,
            PRIMARY KEY (agent_id, thumbprint)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE enrollment_tokens (
            token_hash  BLOB PRIMARY KEY,
            agent_id    TEXT NOT NULL REFERENCES agents,
            expires     INTEGER NOT NULL,
            thumbprint  TEXT,
            bound       INTEGER,
            outcome     TEXT
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE secret_versions (
            agent_id    TEXT NOT NULL REFERENCES agents,
            version     INTEGER NOT NULL,
            epoch       INTEGER NOT NULL,
            state       INTEGER NOT NULL,
            kcv         TEXT NOT NULL,
            request_id  TEXT,
            created     INTEGER NOT NULL,
            valid_from  INTEGER NOT NULL,
            valid_until INTEGER NOT NULL,
            grace_until INTEGER NOT NULL,
            PRIMARY KEY (agent_id, version)
        ) STRICT, WITHOUT ROWID;
        -- The rule of rotation that nothing may break, held by the database itself.
        CREATE UNIQUE INDEX one_active ON secret_versions (agent_id) WHERE state = 2;
        CREATE UNIQUE INDEX one_pending ON secret_versions (agent_id) WHERE state = 1;
        CREATE INDEX live_versions ON secret_versions (agent_id, version) WHERE state <= 3;

        CREATE TABLE licenses (
            jti         TEXT PRIMARY KEY,
            license_id  TEXT NOT NULL,
            agent_id    TEXT NOT NULL REFERENCES agents,
            version     INTEGER NOT NULL,
            product     TEXT NOT NULL,
            claims      TEXT NOT NULL,
            issued      INTEGER NOT NULL,
            expires     INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX licenses_by_id ON licenses (license_id);
        CREATE INDEX licenses_by_agent ON licenses (agent_id);

        CREATE TABLE revocations (
            agent_id    TEXT NOT NULL REFERENCES agents,
            license_id  TEXT NOT NULL,
            version     INTEGER NOT NULL,
            revoked     INTEGER NOT NULL,
            PRIMARY KEY (agent_id, license_id)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE requests (
            agent_id    TEXT NOT NULL,
            request_id  TEXT NOT NULL,
            action      TEXT NOT NULL,
            operation   BLOB NOT NULL,
            outcome     TEXT,
            recovery    INTEGER NOT NULL,
            created     INTEGER NOT NULL,
            PRIMARY KEY (agent_id, request_id)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX requests_by_age ON requests (created);

        CREATE TABLE nonces (
            agent_id    TEXT NOT NULL,
            nonce       BLOB NOT NULL,
            expires     INTEGER NOT NULL,
            PRIMARY KEY (agent_id, nonce)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX nonces_by_expiry ON nonces (expires);

        CREATE TABLE witnesses (
            agent_id    TEXT NOT NULL,
            seq         INTEGER NOT NULL,
            head        BLOB NOT NULL,
            received    INTEGER NOT NULL,
            PRIMARY KEY (agent_id, seq)
        ) STRICT, WITHOUT ROWID;

        -- The latest clocks by the key that signed them: what a second machine with the same identity gives away.
        CREATE TABLE agent_clocks (
            agent_id    TEXT NOT NULL,
            thumbprint  TEXT NOT NULL,
            timestamp   INTEGER NOT NULL,
            clock       TEXT NOT NULL,
            PRIMARY KEY (agent_id, thumbprint)
        ) STRICT, WITHOUT ROWID;

        CREATE TABLE keysets (
            version     INTEGER PRIMARY KEY,
            jws         TEXT NOT NULL
        ) STRICT;

        CREATE TABLE audit (
            seq         INTEGER PRIMARY KEY,
            line        TEXT NOT NULL,
            hash        BLOB NOT NULL
        ) STRICT;
        """;
}
