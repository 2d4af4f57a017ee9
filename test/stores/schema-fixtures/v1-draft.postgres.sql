CREATE SCHEMA strongroom_fixture;
CREATE TABLE strongroom_fixture.strongroom_deks (
    number bigint NOT NULL,
    session text NOT NULL COLLATE pg_catalog."C",
    did text NOT NULL COLLATE pg_catalog."C",
    kid text NOT NULL COLLATE pg_catalog."C",
    wrapped text,
    created_at bigint NOT NULL,
    destroyed_at bigint
);
ALTER TABLE strongroom_fixture.strongroom_deks ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME strongroom_fixture.strongroom_deks_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE strongroom_fixture.strongroom_holds (
    number bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    session text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL,
    placed_at bigint NOT NULL,
    placed_by text,
    released_at bigint,
    released_by text
);
ALTER TABLE strongroom_fixture.strongroom_holds ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME strongroom_fixture.strongroom_holds_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE strongroom_fixture.strongroom_items (
    session bigint NOT NULL,
    seq bigint NOT NULL,
    written_at bigint NOT NULL,
    expires_at bigint,
    born_at bigint,
    dek bigint,
    head text,
    wrapped text,
    item text,
    body bytea
);
ALTER TABLE ONLY strongroom_fixture.strongroom_items ALTER COLUMN body SET STORAGE EXTERNAL;
CREATE TABLE strongroom_fixture.strongroom_leases (
    name text NOT NULL COLLATE pg_catalog."C",
    owner text NOT NULL,
    token bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE TABLE strongroom_fixture.strongroom_operations (
    session bigint NOT NULL,
    operation text NOT NULL COLLATE pg_catalog."C",
    digest text NOT NULL,
    "position" bigint NOT NULL
);
CREATE TABLE strongroom_fixture.strongroom_schema (
    version integer NOT NULL
);
CREATE TABLE strongroom_fixture.strongroom_sessions (
    number bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    subject text COLLATE pg_catalog."C",
    next_seq bigint NOT NULL,
    generation bigint NOT NULL
);
ALTER TABLE strongroom_fixture.strongroom_sessions ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME strongroom_fixture.strongroom_sessions_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (1, 'sealed: ü {1}', 'YJRrEG5lGXfg0ake0cJz_gmk947df83ok6sHgzPEZ84', 'test-fixture', 'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoic3IxLWRlayIsImtpZCI6InRlc3QtZml4dHVyZSJ9.ChF5MahKGPZkzCzMd9VjmbDIr7PM7io4bx9-k2OL_BpjDuyNVETTfg.Bo7lCqp1NeEJjsac.XrluDN3agTsj97XTQ_woxzGQjTG0QJNsOZt-wMfj3rA.qN-BmewWBP90b0G79IXAhg', 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (2, 'expires', 'nYkUN-UMep7UyHmwXu2TMD1dpa_dAZYMXij8aY5SX08', 'test-fixture', 'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoic3IxLWRlayIsImtpZCI6InRlc3QtZml4dHVyZSJ9.HqN0cmbVCb56hZR5fO4r-APsIcGC2lm9KRul6Y7tr4TDdSLsf965DQ.hmokLXrKQh5H6CGX.agMzJw9IVNoFMzpbBjiSdqRFfnFSPKAhckn0mXk3-p0.rwM2guoLqhfJARjCdrpFtQ', 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (3, 'deleted', '_yxoUzuHJjJSstcB-fgzyTer2aypxUTPNblMeNPjDC4', 'test-fixture', NULL, 1767225600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_holds OVERRIDING SYSTEM VALUE VALUES (1, 'hold-1', 'held', 'a reason', 1767225600000, NULL, NULL, NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 0, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"one"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 1, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"two"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 2, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"three"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (4, 0, 1767225600000, 1769817600000, NULL, 1, 'XC20P', NULL, NULL, '\x45d831352ee5b5e384b4c7b7d8706f49cd7d34b67422c492e6e2601a80c4c095d65ef0a079feddeb0bbb7ee35f224b735980ce9cf5f931c7bd866d41adf08fc6f8367c38d7e26c78af75e0167e923942bf4921a3f87ba1458d');
INSERT INTO strongroom_fixture.strongroom_items VALUES (4, 1, 1767225600000, 1769817600000, NULL, 1, 'XC20P', NULL, NULL, '\xbfdc76c9ed7b7e99ab0865fc0703718eba6980ced219918f499c2f2e2ebe3195bcbbcc97bf32e2ad77083bd6ade40721edcaa0b012641eb48f47830742d09fe402c915e9a16fb94b21082e205016a75c461c740ad983ab5636');
INSERT INTO strongroom_fixture.strongroom_items VALUES (5, 0, 1767225600000, 1769817600000, NULL, 2, 'XC20P', NULL, NULL, '\x63fa2ade8c33c031226311d8d953b26e60223cb27ecab35e02733905238c647f9491f86c6d6985dc2263d0eb7271251b7ebc3767cb68e1d00f3a5bf80739a4c5a28b2ba81a70ac0e44a9c5c5228e0b010f223e97dd5d473a');
INSERT INTO strongroom_fixture.strongroom_items VALUES (8, 0, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"eight"}', NULL);
INSERT INTO strongroom_fixture.strongroom_operations VALUES (1, 'GH8DSd0Sttxz122G9CHNRU-szMNu-aK6', 'qHhoTlpdVLjeQHaVPak2_unfMbrf_-IGHU5w1MwmBpM', 1);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (1);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (1, 'plain', 'ada', 3, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (4, 'sealed: ü {1}', NULL, 2, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (5, 'expires', NULL, 1, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (8, 'held', NULL, 1, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (9, 'cleared', NULL, 1, 1767225600001);
SELECT pg_catalog.setval('strongroom_fixture.strongroom_deks_number_seq', 3, true);
SELECT pg_catalog.setval('strongroom_fixture.strongroom_holds_number_seq', 1, true);
SELECT pg_catalog.setval('strongroom_fixture.strongroom_sessions_number_seq', 10, true);
ALTER TABLE ONLY strongroom_fixture.strongroom_deks
    ADD CONSTRAINT strongroom_deks_pkey PRIMARY KEY (number);
ALTER TABLE ONLY strongroom_fixture.strongroom_deks
    ADD CONSTRAINT strongroom_deks_session_did_key UNIQUE (session, did);
ALTER TABLE ONLY strongroom_fixture.strongroom_holds
    ADD CONSTRAINT strongroom_holds_id_key UNIQUE (id);
ALTER TABLE ONLY strongroom_fixture.strongroom_holds
    ADD CONSTRAINT strongroom_holds_pkey PRIMARY KEY (number);
ALTER TABLE ONLY strongroom_fixture.strongroom_items
    ADD CONSTRAINT strongroom_items_pkey PRIMARY KEY (session, seq);
ALTER TABLE ONLY strongroom_fixture.strongroom_leases
    ADD CONSTRAINT strongroom_leases_pkey PRIMARY KEY (name);
ALTER TABLE ONLY strongroom_fixture.strongroom_operations
    ADD CONSTRAINT strongroom_operations_pkey PRIMARY KEY (session, operation);
ALTER TABLE ONLY strongroom_fixture.strongroom_schema
    ADD CONSTRAINT strongroom_schema_pkey PRIMARY KEY (version);
ALTER TABLE ONLY strongroom_fixture.strongroom_sessions
    ADD CONSTRAINT strongroom_sessions_id_key UNIQUE (id);
ALTER TABLE ONLY strongroom_fixture.strongroom_sessions
    ADD CONSTRAINT strongroom_sessions_pkey PRIMARY KEY (number);
CREATE INDEX strongroom_holds_open ON strongroom_fixture.strongroom_holds USING btree (session) WHERE (released_at IS NULL);
CREATE INDEX strongroom_items_birth ON strongroom_fixture.strongroom_items USING btree (COALESCE(born_at, written_at));
CREATE INDEX strongroom_items_expiry ON strongroom_fixture.strongroom_items USING btree (expires_at) WHERE (expires_at IS NOT NULL);
CREATE INDEX strongroom_sessions_subject ON strongroom_fixture.strongroom_sessions USING btree (subject, id) WHERE (subject IS NOT NULL);
