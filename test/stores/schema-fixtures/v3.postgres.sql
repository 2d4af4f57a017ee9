CREATE SCHEMA strongroom_fixture;
CREATE FUNCTION strongroom_fixture.strongroom_announce() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'strongroom_fixture', 'pg_temp'
    AS $$
DECLARE
  key bytea := (SELECT secret FROM "strongroom_fixture"."strongroom_announce_key");
  id bytea;
BEGIN
  IF TG_OP = 'DELETE' THEN
    id := convert_to(OLD.id, 'UTF8');
  ELSIF TG_OP = 'INSERT' OR NEW.next_seq <> OLD.next_seq OR NEW.generation <> OLD.generation THEN
    id := convert_to(NEW.id, 'UTF8');
  ELSE
    RETURN NULL;
  END IF;
  PERFORM pg_notify('strongroom_' || left(encode(sha256(key || 'channel'::bytea), 'hex'), 40),
    encode(sha256(key || sha256(key || id)), 'hex'));
  RETURN NULL;
END $$;
CREATE TABLE strongroom_fixture.strongroom_announce_key (
    secret bytea NOT NULL
);
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
    generation bigint NOT NULL,
    first_expiry_at bigint,
    first_birth_at bigint
);
ALTER TABLE strongroom_fixture.strongroom_sessions ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME strongroom_fixture.strongroom_sessions_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO strongroom_fixture.strongroom_announce_key VALUES ('\xd032c30a52ae41ea9d20afcbc62618d06589eadbcb284947a664a96f1d864cc2');
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (1, 'sealed: ü {1}', 'SDb0n5bqL_RjPYtJdM7WS1ioMBW2zqGJC7wh_SEgf1k', 'test-fixture', 'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoic3IxLWRlayIsImtpZCI6InRlc3QtZml4dHVyZSJ9.zLiB0Ot9TvTp7JCVEbjdyntpzmaQzSSibQaHYev7velg-r-Lp_gj-A.l3DIYyEhtvd98tuY.juheyr6-GspUAvF8UZGG4fmhXuda5B0N6WuM5oZyxcU.mvQjkeXHxiXwxZ6fFPjC9A', 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (2, 'expires', 'l_5T09OIwSJPL7PlLnxQBEQLj7XwywpvUvP1DA2JK94', 'test-fixture', 'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoic3IxLWRlayIsImtpZCI6InRlc3QtZml4dHVyZSJ9.jn-nFWPDR4MRBvOdnJyI6Vr_Mg8TPf_t9fV2wRoqiWREMzMHJvYinw.U3IA18lqt2dtIjzi.iZMrOR6YPO0rQsqCvmedwVByJu4Fwq79kIdhtDTDsCo.ga1JCTJpTvzmF5t37Nkb3Q', 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (3, 'deleted', 'Vtn7sCDbxLVhtkJo0t36sQEVkr3ydtA5rNc6mHjNq4E', 'test-fixture', NULL, 1767225600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_holds OVERRIDING SYSTEM VALUE VALUES (1, 'hold-1', 'held', 'a reason', 1767225600000, NULL, NULL, NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 0, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"one"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 1, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"two"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 2, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"three"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (4, 0, 1767225600000, 1769817600000, NULL, 1, 'XC20P', NULL, NULL, '\xc0e01a03e2bb9b6d800e5b4c440519cebc13879706dc48d6e52284b3c2ecb4d4f46cfe3345686a91eac57a2d7b02596b0db3f7f9bb77cc957ee9ad252b44c6e3a177aad1442435cf703d58c87a9a042d607880935e543b11d5');
INSERT INTO strongroom_fixture.strongroom_items VALUES (4, 1, 1767225600000, 1769817600000, NULL, 1, 'XC20P', NULL, NULL, '\x2e6b37d311fd16877d9085d71bf99fc3325c21d9f5d96434c4d0f4c1049c6a9413c412af3d2b17b2f87d7e4bf437edc4d801eeb692c2440a3de7d9f887f622c104308a12db27b140c465710213b99b2cacbaf1b45979edff41');
INSERT INTO strongroom_fixture.strongroom_items VALUES (5, 0, 1767225600000, 1769817600000, NULL, 2, 'XC20P', NULL, NULL, '\x7f0ff04f011f750eeb9906677a3981732cb2a5bc8661079a9aad1e4cb3faf5456fa7116bfa0d5137c3ab119dfe6604f08c0a5f331cbf3f92ce7884c7bac2efcd480cc8a5807b1c861a9db28584850adf3821e561b43d084c');
INSERT INTO strongroom_fixture.strongroom_items VALUES (8, 0, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"eight"}', NULL);
INSERT INTO strongroom_fixture.strongroom_operations VALUES (1, 'GH8DSd0Sttxz122G9CHNRU-szMNu-aK6', 'qHhoTlpdVLjeQHaVPak2_unfMbrf_-IGHU5w1MwmBpM', 1);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (1);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (2);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (3);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (1, 'plain', 'ada', 3, 145228836710805, NULL, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (4, 'sealed: ü {1}', NULL, 2, 116375832619001, 1769817600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (5, 'expires', NULL, 1, 118559152311640, 1769817600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (8, 'held', NULL, 1, 53667022588205, NULL, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (9, 'cleared', NULL, 1, 72471690092290, NULL, 1767225600000);
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
CREATE INDEX strongroom_sessions_birth ON strongroom_fixture.strongroom_sessions USING btree (first_birth_at);
CREATE INDEX strongroom_sessions_expiry ON strongroom_fixture.strongroom_sessions USING btree (first_expiry_at) WHERE (first_expiry_at IS NOT NULL);
CREATE INDEX strongroom_sessions_subject ON strongroom_fixture.strongroom_sessions USING btree (subject, id) WHERE (subject IS NOT NULL);
CREATE TRIGGER strongroom_announce AFTER INSERT OR DELETE OR UPDATE ON strongroom_fixture.strongroom_sessions FOR EACH ROW EXECUTE FUNCTION strongroom_fixture.strongroom_announce();
