/** The package has no types; `sodium.ts` says what it uses of it. */
declare module 'libsodium';
