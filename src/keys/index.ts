export type { DekFilter, DekRecord, DekStore, DekTombstone, HoldRecord, HoldStore } from './dek-store.ts';
export { memoryDekStore, type MemoryDekStoreOptions } from './memory-dek-store.ts';
export { sessionDekStore, type SessionDekStoreOptions } from './session-dek-store.ts';
export { sqliteDekStore, type SqliteDekStore, type SqliteDekStoreOptions } from './sqlite-dek-store.ts';
