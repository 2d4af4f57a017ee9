/** The service as a route of Next.js, for `app/invocations/route.ts`, on its Node runtime. */
import { handle } from 'hono/vercel';
import { createApp } from './app.ts';
import { fromEnvironment } from './settings.ts';

export const POST: ReturnType<typeof handle> = handle(createApp(fromEnvironment().service));
