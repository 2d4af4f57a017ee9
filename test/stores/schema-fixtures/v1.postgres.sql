CREATE SCHEMA strongroom_fixture;
CREATE FUNCTION strongroom_fixture.strongroom_announce() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
  IF TG_OP = 'DELETE' THEN
    PERFORM pg_notify('strongroom_' || TG_RELID, '0 0 ' || OLD.id);
  ELSIF TG_OP = 'INSERT' OR NEW.next_seq <> OLD.next_seq OR NEW.generation <> OLD.generation THEN
    PERFORM pg_notify('strongroom_' || TG_RELID, NEW.generation || ' ' || NEW.next_seq || ' ' || NEW.id);
  END IF;
  RETURN NULL;
END $$;
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
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (1, 'sealed: ü {1}', 'd8Gfr3ZB1IX4E2syMuZ3DVv6_rNUPMgue44tzWK7CuI', 'test-fixture', 'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoic3IxLWRlayIsImtpZCI6InRlc3QtZml4dHVyZSJ9.POoisJBwymzsv5P9f8XEnlzEre2igLsBWfZCICjKzfFd2tN7qdUvIA.ig0ZtBKfs5qhFezT.qXhuCXav8seQKFX3s9pzfFHrlmNKhQC24tdAJsa0xjY.OruY3DRvJZ_7qOrOX0i_eg', 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (2, 'expires', '5_7zp7yuT_9E9r_w8ua6ebJpyPKCkJysfb5hGxiU9tk', 'test-fixture', 'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoic3IxLWRlayIsImtpZCI6InRlc3QtZml4dHVyZSJ9.XRky5D2JyYgurW19JGA-TVTT_29UiacbzJWZIH6NacYSQDyy3txLNQ.aJd_pC957FsMAZCX.igVvhe83EbwSnOLx5IfKBRPL9tL5tt3LZlIT6y5-5t4.iT43wo-EnHh1IlPXU0aQbQ', 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (3, 'deleted', '8W7C4-W8Ox60D-J0xwd8Gb4L7Hi3e8Q9DIrEBfcMMZA', 'test-fixture', NULL, 1767225600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_holds OVERRIDING SYSTEM VALUE VALUES (1, 'hold-1', 'held', 'a reason', 1767225600000, NULL, NULL, NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 0, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"one"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 1, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"two"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 2, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"three"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (4, 0, 1767225600000, 1769817600000, NULL, 1, 'XC20P', NULL, NULL, '\x0354108a8510372e407f4ac3d1fb7f35764086720d1ce9058fe2f745f6242f6fc1478ef944a65da714f9d4a34b06d5c72c72a59c32021180c798288521206567a29ab7a4f0f8f23238ce912f14752c7513e7ebd31c7a70c18e');
INSERT INTO strongroom_fixture.strongroom_items VALUES (4, 1, 1767225600000, 1769817600000, NULL, 1, 'XC20P', NULL, NULL, '\x89bc6da7635655d87594715170d381dc0cabaf6622d88af1fae6a1ff09ab8a451c8fe410363f93338302fe0d1746482e5e4843d6de4adb4470b1bc233ccc85b2a4000ff4729e000d6b46a14265d166e0c4db62333658c9f896');
INSERT INTO strongroom_fixture.strongroom_items VALUES (5, 0, 1767225600000, 1769817600000, NULL, 2, 'XC20P', NULL, NULL, '\x6155c4545cf4b0acf6ed5e9ba17e27811f2aba5cbb2d5d81e290e6c619ac485c81b4c95d2aff0d425266d694a2d2cd2f4bcec88816405758338cfa187303b5c7c879b54093869a436002a3ceed33f2fa44321ce72795f850');
INSERT INTO strongroom_fixture.strongroom_items VALUES (8, 0, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"eight"}', NULL);
INSERT INTO strongroom_fixture.strongroom_operations VALUES (1, 'GH8DSd0Sttxz122G9CHNRU-szMNu-aK6', 'qHhoTlpdVLjeQHaVPak2_unfMbrf_-IGHU5w1MwmBpM', 1);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (1);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (1, 'plain', 'ada', 3, 86419078380645, NULL, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (4, 'sealed: ü {1}', NULL, 2, 122573368568097, 1769817600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (5, 'expires', NULL, 1, 139466418451701, 1769817600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (8, 'held', NULL, 1, 201299099931094, NULL, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (9, 'cleared', NULL, 1, 31316071263743, NULL, 1767225600000);
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
