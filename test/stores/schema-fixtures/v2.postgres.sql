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
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (1, 'sealed: ü {1}', 'sd2QI2b2Yfw2KpZIU__XRPAr6O3RawyqD9PUAlOVJQI', 'test-fixture', 'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoic3IxLWRlayIsImtpZCI6InRlc3QtZml4dHVyZSJ9.2MKjIofXAtG1kKWJlo0mpn4QgV5gE8XMUjx_fEguTNEPpdoKMIs5dA.9PdQqlTWo70SUA6B.or-p6_vY22rFFr0XXuz309YQAffeIm3vz-df1DwRt-8.MFU_h3c0FM0MBfp9Gu806A', 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (2, 'expires', '3PVTACJQZj7vJ1ju48pVeddBWn8v-dreVWKZHnhUBfc', 'test-fixture', 'eyJhbGciOiJBMjU2S1ciLCJlbmMiOiJBMjU2R0NNIiwidHlwIjoic3IxLWRlayIsImtpZCI6InRlc3QtZml4dHVyZSJ9.trZp6Udq_Hmg4CiwXcra_2pqrwlWwR7KXUfPtPT1OAN8blFgscfreA.zDN1PawbUpzLY9Iq.AkFg4Rf731LgwgECg8P5_w_hl8anGxzgsGPMm8jCO5Y.6lPKRvbK1dCrg02swykeFw', 1767225600000, NULL);
INSERT INTO strongroom_fixture.strongroom_deks OVERRIDING SYSTEM VALUE VALUES (3, 'deleted', 'ztiZ9IL_q_1sCs64h3tZQ9uGrZx06fJOGYssYnFe2JA', 'test-fixture', NULL, 1767225600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_holds OVERRIDING SYSTEM VALUE VALUES (1, 'hold-1', 'held', 'a reason', 1767225600000, NULL, NULL, NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 0, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"one"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 1, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"two"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (1, 2, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"three"}', NULL);
INSERT INTO strongroom_fixture.strongroom_items VALUES (4, 0, 1767225600000, 1769817600000, NULL, 1, 'XC20P', NULL, NULL, '\xf87578d148783563fc59dc6a1a31056c94bd13f9436b6e50f789c32df1c74d2ae8321af0d50a166a512ccf50e4d6ff73985e029fb369541ffb572d3c84c0d939b1f042b98ba4ca28faa563a744b268e6e6bf838c2fac96aed3');
INSERT INTO strongroom_fixture.strongroom_items VALUES (4, 1, 1767225600000, 1769817600000, NULL, 1, 'XC20P', NULL, NULL, '\x2f33a4d77f20372a423286da57399ed02905aca266a87cd99389b5a5fcfe4e1c4003cfb73f30e5dba51e19e3243e79b97e1634537287ce89ff77f5da6b3ab7f97ec8b7472daecb9d5ba2c0fc40e19d66910ca53c307d79707c');
INSERT INTO strongroom_fixture.strongroom_items VALUES (5, 0, 1767225600000, 1769817600000, NULL, 2, 'XC20P', NULL, NULL, '\x074ba8087d6898dcc1e67d31540f16615f9fa0b2e3d9d9587887d616d3aa6e82f28b50ec5c1c7d3a5e01ce34a138a2528d758fb563ca7bea4685cdba9360d6c56cf4488361cc4c8f3a6b1901dff2651128b498bf2c0cd03b');
INSERT INTO strongroom_fixture.strongroom_items VALUES (8, 0, 1767225600000, NULL, NULL, NULL, NULL, NULL, '{"type":"message","role":"user","content":"eight"}', NULL);
INSERT INTO strongroom_fixture.strongroom_operations VALUES (1, 'GH8DSd0Sttxz122G9CHNRU-szMNu-aK6', 'qHhoTlpdVLjeQHaVPak2_unfMbrf_-IGHU5w1MwmBpM', 1);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (1);
INSERT INTO strongroom_fixture.strongroom_schema VALUES (2);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (1, 'plain', 'ada', 3, 181271512961627, NULL, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (4, 'sealed: ü {1}', NULL, 2, 175747953636792, 1769817600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (5, 'expires', NULL, 1, 56048481289633, 1769817600000, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (8, 'held', NULL, 1, 3856152529202, NULL, 1767225600000);
INSERT INTO strongroom_fixture.strongroom_sessions OVERRIDING SYSTEM VALUE VALUES (9, 'cleared', NULL, 1, 111129167229213, NULL, 1767225600000);
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
