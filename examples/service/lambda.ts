/** The service as an AWS Lambda function behind a function URL or API Gateway. */
import { handle } from 'hono/aws-lambda';
import { createApp } from './app.ts';
import { fromEnvironment } from './settings.ts';

export const handler: ReturnType<typeof handle> = handle(createApp(fromEnvironment().service));
