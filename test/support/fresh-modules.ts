import { afterEach, beforeEach, vi } from 'vitest';

/**
 * Each test of the block that calls this loads modules anew, under the globals that it replaces. Nothing of it stays
 * for other test files, which share the process: a module that was loaded without a cipher would have none there.
 */
export function freshModules(): void {
  beforeEach(() => void vi.resetModules());
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });
}
