import { flushCompileCache } from 'node:module';
import { afterAll } from 'vitest';

// A worker is killed in the end, and would keep nothing of what it compiled.
afterAll(() => flushCompileCache());
