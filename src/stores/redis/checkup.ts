import type { RiskySetting, StoreCheckup } from '../checkup.ts';
import type { RedisCommands } from './client.ts';
import { infoOf } from './settings.ts';

/** Beside what the connection checks; of a cluster, each primary. Redis has no indexes of ours that can be missing. */
export async function redisCheckup(commands: RedisCommands): Promise<StoreCheckup> {
  const [memories = [], persistences = []] = await Promise.all([
    infoOf(commands, 'memory'),
    infoOf(commands, 'persistence'),
  ]);
  const settings: RiskySetting[] = [];
  if (persistences.some((persistence) => persistence.get('aof_enabled') === '0')) {
    settings.push({
      level: 'warning',
      what: 'A crash of the server loses what was written since its last snapshot (appendonly no).',
      next: 'Set appendonly to yes.',
    });
  }
  const evicting = memories.filter(
    (memory) => (memory.get('maxmemory_policy') ?? 'noeviction') !== 'noeviction',
  );
  if (evicting.length > 0) {
    const policies = [...new Set(evicting.map((memory) => memory.get('maxmemory_policy')))].join(', ');
    settings.push({
      // Without a limit nothing is evicted.
      level: evicting.some((memory) => memory.get('maxmemory') !== '0') ? 'warning' : 'note',
      what: `The server evicts keys when a limit of its memory is reached (maxmemory-policy ${policies}).`,
      next: 'Set maxmemory-policy to noeviction.',
    });
  }
  return { settings, missingIndexes: [] };
}
