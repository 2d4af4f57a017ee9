import { describe, test } from 'vitest';
import { createStore } from '../../src/stores/index.ts';
import { storeContract } from '../../src/testing/store-contract.ts';
import { memoryDriver } from '../../examples/support/memory-driver.ts';

describe('a store over the driver of the example', () => {
  const table = new Map<string, Uint8Array>();
  storeContract({ describe, test }, { open: () => createStore(memoryDriver(table)) });
});

describe('a store over the driver of the example, not shared', () => {
  storeContract({ describe, test }, { open: () => createStore(memoryDriver()), shared: false });
});
