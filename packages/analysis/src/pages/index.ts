import { configuration } from './configuration.ts';
import { destinations } from './destinations.ts';
import { gateways } from './gateways.ts';
import type { Page } from './page.ts';
import { policies } from './policies.ts';
import { routes } from './routes.ts';
import { workloads } from './workloads.ts';

export const pages: Readonly<Record<string, Page>> = { ...configuration, ...destinations, ...gateways, ...policies, ...routes, ...workloads };
