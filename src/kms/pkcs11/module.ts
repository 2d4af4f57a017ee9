import type { Buffer } from 'node:buffer';

/** The members of a `PKCS11` object of pkcs11js that the adapter uses. */
export interface Pkcs11Module {
  C_GetSlotList(tokenPresent?: boolean): Buffer[];
  C_GetTokenInfo(slot: Buffer): { label: string };
  C_OpenSession(slot: Buffer, flags: number): Buffer;
  C_CloseSession(session: Buffer): void;
  C_Login(session: Buffer, userType: number, pin?: string): void;
  C_FindObjectsInit(session: Buffer, template: { type: number; value?: number | boolean | string }[]): void;
  C_FindObjects(session: Buffer, maxObjectCount: number): Buffer[];
  C_FindObjectsFinal(session: Buffer): void;
  C_GetAttributeValue(session: Buffer, object: Buffer, template: { type: number }[]): Pkcs11Attribute[];
  C_EncryptInit(session: Buffer, mechanism: Pkcs11Mechanism, key: Buffer): void;
  C_EncryptAsync(session: Buffer, inData: Buffer, outData: Buffer): Promise<Buffer>;
  C_DecryptInit(session: Buffer, mechanism: Pkcs11Mechanism, key: Buffer): void;
  C_DecryptAsync(session: Buffer, inData: Buffer, outData: Buffer): Promise<Buffer>;
}

/** An attribute of an object, as {@link Pkcs11Module} gives it. */
export interface Pkcs11Attribute {
  type: number;
  value: Buffer;
}

/** A mechanism with its parameter, as {@link Pkcs11Module} takes it. */
export interface Pkcs11Mechanism {
  mechanism: number;
  parameter: { type: number; iv: Buffer; aad: Buffer; ivBits: number; tagBits: number };
}
