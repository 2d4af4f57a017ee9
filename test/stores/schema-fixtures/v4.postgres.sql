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
    first_birth_at bigint,
    root text COLLATE pg_catalog."C"
);
ALTER TABLE strongroom_fixture.strongroom_sessions ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME strongroom_fixture.strongroom_sessions_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
INSERT INTO strongroom_fixture.strongroom_announce_key VALUES ('\x6747c760867742b9a54c74e4ba72b66941e6e8c5337847eb9155d7c7e35a0b30');
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (1, 'sealed: ü {1}', 'Lhmj0BollRpJpyoapjxeESKkg4WJLwSN45T9QtnmHOE', 'test-fixture', 'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoic3IxLWRlayIsImtpZCI6InRlc3QtZml4dHVyZSJ9.NFjfQllpKWrfWj8po8ALoiYARVUfOQHuHEwIX5saeJpKyVZF4XR_Nw.5MeIsE1xynpLM4PO.DzyQn5C-b4sFOrFV1H1Az9XCh6vSDMMnRX6_r2_urbk.mqFZrg3PA2KvtvfhMTuCyg', 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (2, 'expires', '9OT1FBUV0dPi3IBl5274vgl2I9r0X1GFnfURxvk236Q', 'test-fixture', 'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoic3IxLWRlayIsImtpZCI6InRlc3QtZml4dHVyZSJ9.lhC71ZWcQLK_zsWmzRMtJQj1jCClNFgPH2edAVfTK1SBxp5gIiMxlA.aycd4FbDBfzLlTAx.46m2de8VrJDBnUfpU8MUguFOywzjH6WWcgHGGCMQ1_U.2uLhotjaukkRelsoQ2q1NA', 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (3, 'deleted', 'YAWyGyrHDsF8XgQgp00GzatNw9BkkfxndMhxY4uzwqg', 'test-fixture', NULL, 1767225600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_holds OVERRIDING SYSTEM VALUE VALUES (1, 'hold-1', 'held', 'a reason', 1767225600000, NULL, NULL, NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 0, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"one"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 1, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"two"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 2, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"three"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (4, 0, 1767225600000, 1769817600000, NULL, 1, 'XC20P', NULL, NULL, '\xb40a4dcf0c36f9060a7a4467b7284af4cfb5898be7d0d719f6a6a5790472396f88452537f7e24bf66529c8a6357154dd9a3e57b90a4e74e8871bea10a9c0bb5350dc8a181aa927a05e4070380b87d04e173b8715efe08818f9');
INSERT INTO strongroom_fixture.strongroom_items VALUES (4, 1, 1767225600000, 1769817600000, NULL, 1, 'XC20P', NULL, NULL, '\x04f00e54de4e4e001652d23489a67220d145fd4afbcc6873e91e338e862268bb11bcbe6c275a035be767c2068bde73bff535d2540b0d56689258d9acc9b116b69d821cd604baa125a00ea085b3e29b5c02a98fbafce06195d8');
INSERT INTO strongroom_fixture.strongroom_items VALUES (5, 0, 1767225600000, 1769817600000, NULL, 2, 'XC20P', NULL, NULL, '\xe11b0786c3c1336bddc1cebdbcb0ac60312decb214eb7d332536104a6ff0ad38112104dbc9c3e3205b0970950c889da620eb468d6b05dfd08f4db21bfc210378dd6d26adbabd9a962aa47613e2ebf265b2adc098a9ec026d');
INSERT INTO strongroom_fixture.strongroom_items VALUES (8, 0, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"eight"}', NULL);
INSERT INTO strongroom_fixture.strongroom_operations VALUES (1, 'GH8DSd0Sttxz122G9CHNRU-szMNu-aK6', 'qHhoTlpdVLjeQHaVPak2_unfMbrf_-IGHU5w1MwmBpM', 1);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (1);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (2);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (3);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (4);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (1, 'plain', 'ada', 3, 117745928791181, NULL, 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (4, 'sealed: ü {1}', NULL, 2, 178727580068456, 1769817600000, 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (5, 'expires', NULL, 1, 202246438309634, 1769817600000, 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (8, 'held', NULL, 1, 144722446193007, NULL, 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (9, 'cleared', NULL, 1, 116031242133536, NULL, 1767225600000, NULL);
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
CREATE INDEX strongroom_sessions_root ON strongroom_fixture.strongroom_sessions USING btree (root) WHERE (root IS NOT NULL);
CREATE INDEX strongroom_sessions_subject ON strongroom_fixture.strongroom_sessions USING btree (subject, id) WHERE (subject IS NOT NULL);
CREATE TRIGGER strongroom_announce AFTER INSERT OR DELETE OR UPDATE ON strongroom_fixture.strongroom_sessions FOR EACH ROW EXECUTE FUNCTION strongroom_fixture.strongroom_announce();
