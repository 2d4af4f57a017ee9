import type { Group } from './group.ts';
import { appendGroup } from './groups/append.ts';
import { bundleGroup } from './groups/bundle.ts';
import { conversationGroup } from './groups/conversation.ts';
import { importGroup } from './groups/import.ts';
import { itemGroup } from './groups/item.ts';
import { layersGroup } from './groups/layers.ts';
import { loopGroup } from './groups/loop.ts';
import { memoryGroup } from './groups/memory.ts';
import { readGroup } from './groups/read.ts';
import { pythonGroup } from './groups/python.ts';
import { redactionGroup } from './groups/redaction.ts';
import { runGroup } from './groups/run.ts';
import { serversGroup } from './groups/servers.ts';
import { sizeGroup } from './groups/size.ts';
import { startGroup } from './groups/start.ts';
import { storesGroup } from './groups/stores.ts';
import { trimGroup } from './groups/trim.ts';

/** The values of `--group`, in the order in which they run. */
export const GROUPS: Readonly<Record<string, Group>> = {
  conversation: conversationGroup,
  read: readGroup,
  append: appendGroup,
  redaction: redactionGroup,
  memory: memoryGroup,
  import: importGroup,
  loop: loopGroup,
  bundle: bundleGroup,
  servers: serversGroup,
  run: runGroup,
  item: itemGroup,
  layers: layersGroup,
  trim: trimGroup,
  start: startGroup,
  size: sizeGroup,
  stores: storesGroup,
  /** Only when it is asked for, by `--python` or its name. */
  python: pythonGroup,
};
