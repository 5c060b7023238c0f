import type { Examples } from '../../stand-in/examples.ts';
import { startStandIn } from './stand-in.ts';

export const examples: Examples = {
  keys: ['repo:octokit/graphql-schema', 'repo:octokit/fixtures', 'user:octokit', 'user:octocat'],
  async start() {
    const standIn = await startStandIn({ fast: true });
    const { accounts, repositories } = standIn.world;
    const seen = [...repositories.values()].filter(({ block }) => block === null);
    const users = [...accounts.values()].map(({ login }) => `user:${login.toLowerCase()}`);
    return { standIn, keys: seen.map(({ fullName }) => `repo:${fullName.toLowerCase()}`).concat(users) };
  },
};
