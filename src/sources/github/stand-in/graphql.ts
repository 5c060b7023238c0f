import {
  type Repository as GraphqlRepository,
  type Organization,
  schema as published,
  type User,
} from '@octokit/graphql-schema';
import {
  buildClientSchema,
  type DocumentNode,
  defaultFieldResolver,
  execute,
  GraphQLError,
  type GraphQLFieldResolver,
  type GraphQLSchema,
  type IntrospectionQuery,
  parse,
  TypeInfo,
  validate,
  visit,
  visitWithTypeInfo,
} from 'graphql';
import type { Answer } from '../../stand-in/faults.ts';
import { type Account, isRepository, type Repository, type World } from './world.ts';

const NODES_MAX = 100;
/** Queries whose text was parsed and checked before. */
const DOCUMENTS_MAX = 100;

type Named<T, K extends keyof T> = Pick<T, K> & { __typename: string };

/** The fields that the stand-in has of each type. A field of GitHub's schema that is not here is refused by name. */
type RepositoryFields = Named<
  GraphqlRepository,
  | 'id'
  | 'databaseId'
  | 'name'
  | 'nameWithOwner'
  | 'description'
  | 'homepageUrl'
  | 'url'
  | 'createdAt'
  | 'updatedAt'
  | 'pushedAt'
  | 'isArchived'
  | 'isDisabled'
  | 'isEmpty'
  | 'isFork'
  | 'isPrivate'
  | 'isTemplate'
  | 'isLocked'
  | 'stargazerCount'
  | 'forkCount'
  | 'diskUsage'
> & {
  owner: UserFields | OrganizationFields;
  defaultBranchRef: { __typename: 'Ref'; name: string; target: { __typename: 'Commit'; oid: string } } | null;
};
type AccountField =
  | 'id'
  | 'databaseId'
  | 'login'
  | 'createdAt'
  | 'updatedAt'
  | 'websiteUrl'
  | 'twitterUsername'
  | 'url';
type UserFields = Named<User, AccountField | 'bio' | 'company' | 'isHireable'> & ProfileFields;
type OrganizationFields = Named<Organization, AccountField | 'description' | 'isVerified'> & ProfileFields;
interface ProfileFields {
  name: string | null;
  location: string | null;
}

/** Nodes of the next requests that have no data, as when a query takes too much. */
export interface PartialAnswer {
  isLost(id: string): boolean;
  type: string | null;
  message: string;
}

export const RESOURCE_LIMITS = {
  type: 'RESOURCE_LIMITS_EXCEEDED',
  message: 'Resource limits for this query exceeded.',
};

export interface GraphqlState {
  world: World;
  web: string;
  partial: PartialAnswer | null;
  rateLimit: { limit: number; remaining: number; used: number; resetAt: string };
}

let knownSchema: GraphQLSchema | null = null;
const documents = new Map<string, DocumentNode | string>();

/** GitHub's own schema. It is read when the first query comes. */
function schemaOf(): GraphQLSchema {
  knownSchema ??= buildClientSchema(published.json as IntrospectionQuery, { assumeValid: true });
  return knownSchema;
}

/** Answers a POST of a query: whatever it selects, checked against GitHub's schema. */
export function answerGraphql(body: Uint8Array, state: GraphqlState): Answer {
  const sent = readBody(body);
  if (!sent) return { status: 400, body: JSON.stringify({ message: 'Problems parsing JSON' }) };
  const document = documentOf(sent.query);
  if (typeof document === 'string') return { body: document };
  const result = execute({
    schema: schemaOf(),
    document,
    rootValue: rootOf(state),
    variableValues: sent.variables,
    fieldResolver: strictResolver,
  });
  if (result instanceof Promise) throw new Error('stand-in: expected an answer at once, got a promise');
  const errors = result.errors?.map(errorItem);
  // A query that is refused as a whole has no data.
  const isRefused = errors?.some(({ type }) => type === 'ARGUMENT_LIMIT' || type === undefined) && !result.data?.nodes;
  return { body: JSON.stringify({ ...(isRefused ? {} : { data: result.data }), ...(errors ? { errors } : {}) }) };
}

function readBody(body: Uint8Array): { query: string; variables: Record<string, unknown> } | null {
  try {
    const { query, variables = {} } = JSON.parse(new TextDecoder().decode(body)) as {
      query?: unknown;
      variables?: Record<string, unknown>;
    };
    return typeof query === 'string' ? { query, variables } : null;
  } catch {
    // GitHub answers with status 400 to a body that is no JSON.
    return null;
  }
}

/** The parsed query, or the body that refuses it. */
function documentOf(query: string): DocumentNode | string {
  const known = documents.get(query);
  if (known !== undefined) return known;
  if (documents.size >= DOCUMENTS_MAX) documents.clear();
  const document = checkedDocument(query);
  documents.set(query, document);
  return document;
}

function checkedDocument(query: string): DocumentNode | string {
  let document: DocumentNode;
  try {
    document = parse(query);
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    return JSON.stringify({ errors: [errorItem(error)] });
  }
  const errors = validate(schemaOf(), document);
  if (errors.length > 0) return JSON.stringify({ errors: errors.map(errorItem) });
  if (!asksForEmail(document)) return document;
  const message =
    "Your token has not been granted the required scopes to execute this query. The 'email' field requires one of the " +
    "following scopes: ['user:email', 'read:user'].";
  return JSON.stringify({ data: null, errors: [{ type: 'INSUFFICIENT_SCOPES', message }] });
}

/** Whether a query selects the address of a user, for which a token needs a scope. */
function asksForEmail(document: DocumentNode): boolean {
  const typeInfo = new TypeInfo(schemaOf());
  let found = false;
  visit(
    document,
    visitWithTypeInfo(typeInfo, {
      Field(node) {
        if (node.name.value === 'email' && typeInfo.getParentType()?.name === 'User') found = true;
      },
    }),
  );
  return found;
}

function errorItem({ message, path, locations, extensions }: GraphQLError) {
  const { type } = extensions as { type?: string };
  return { ...(type === undefined ? {} : { type }), ...(path ? { path } : {}), locations, message };
}

const strictResolver: GraphQLFieldResolver<unknown, unknown> = (source, args, context, info) => {
  if (typeof source === 'object' && source !== null && !(info.fieldName in source))
    throw new GraphQLError(`stand-in: expected a field that it has, got ${info.parentType.name}.${info.fieldName}`);
  return defaultFieldResolver(source, args, context, info);
};

function rootOf(state: GraphqlState) {
  const { world } = state;
  const found = (node: Account | Repository | undefined, message: string) =>
    node ? fieldsOf(node, state) : missing(message);
  return {
    rateLimit: () => ({ cost: 1, nodeCount: 0, ...state.rateLimit }),
    node: ({ id }: { id: string }) => found(world.nodes.get(id), unresolved(id)),
    nodes: ({ ids }: { ids: string[] }) => {
      if (ids.length > NODES_MAX) throw tooMany(ids.length);
      return ids.map(id => {
        if (state.partial?.isLost(id)) return missing(state.partial.message, state.partial.type);
        return found(world.nodes.get(id), unresolved(id));
      });
    },
    repository: ({ owner, name, followRenames = true }: { owner: string; name: string; followRenames?: boolean }) => {
      const fullName = `${owner}/${name}`;
      const repository = world.find(fullName) ?? (followRenames ? world.redirect(fullName) : null);
      return found(repository ?? undefined, `Could not resolve to a Repository with the name '${fullName}'.`);
    },
    user: ({ login }: { login: string }) => accountOf(state, login, 'User'),
    organization: ({ login }: { login: string }) => accountOf(state, login, 'Organization'),
  };
}

function accountOf(state: GraphqlState, login: string, type: Account['type']) {
  const account = state.world.accounts.get(login.toLowerCase());
  const text = `Could not resolve to ${type === 'User' ? 'a User' : 'an Organization'} with the login of '${login}'.`;
  return account?.type === type ? fieldsOf(account, state) : missing(text);
}

const unresolved = (id: string) => `Could not resolve to a node with the global id of '${id}'`;

function missing(message: string, type: string | null = 'NOT_FOUND'): GraphQLError {
  return new GraphQLError(message, { extensions: type === null ? {} : { type } });
}

function tooMany(count: number): GraphQLError {
  const message = `You may not provide more than ${NODES_MAX} node ids; you provided ${count}.`;
  return new GraphQLError(message, { extensions: { type: 'ARGUMENT_LIMIT' } });
}

/** How GitHub's GraphQL answers for a repository that it blocks is in no document: null with an error is an assumption. */
function fieldsOf(node: Account | Repository, state: GraphqlState) {
  if (!isRepository(node)) return accountFields(node, state.web);
  if (node.private) return missing(unresolved(node.nodeId));
  if (node.block) return missing('Repository access blocked', 'FORBIDDEN');
  return repositoryFields(node, state.web);
}

function repositoryFields(repository: Repository, web: string): RepositoryFields {
  const head = repository.branches.get(repository.defaultBranch);
  return {
    __typename: 'Repository',
    id: repository.nodeId,
    databaseId: repository.id,
    name: repository.name,
    nameWithOwner: repository.fullName,
    owner: accountFields(repository.owner, web),
    description: repository.description,
    homepageUrl: repository.homepage,
    url: `${web}/${repository.fullName}`,
    createdAt: repository.createdAt,
    updatedAt: repository.updatedAt,
    pushedAt: repository.pushedAt,
    isArchived: repository.archived,
    isDisabled: repository.disabled,
    isEmpty: repository.branches.size === 0,
    isFork: repository.parent !== null,
    isPrivate: repository.private,
    isTemplate: repository.isTemplate,
    isLocked: false,
    stargazerCount: repository.stars,
    forkCount: repository.forks,
    diskUsage: repository.sizeKb,
    defaultBranchRef:
      head === undefined
        ? null
        : { __typename: 'Ref', name: repository.defaultBranch, target: { __typename: 'Commit', oid: head } },
  };
}

function accountFields(account: Account, web: string): UserFields | OrganizationFields {
  const core = {
    id: account.nodeId,
    databaseId: account.id,
    login: account.login,
    name: account.name,
    location: account.location,
    websiteUrl: account.blog,
    twitterUsername: account.twitter,
    url: `${web}/${account.login}`,
    createdAt: account.createdAt,
    updatedAt: account.updatedAt,
  };
  if (account.type === 'Organization')
    return { __typename: 'Organization', ...core, description: account.bio, isVerified: account.isVerified };
  const isHireable = account.hireable ?? false;
  return { __typename: 'User', ...core, bio: account.bio, company: account.company, isHireable };
}
