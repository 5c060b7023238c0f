import { isSecretSetting, LIMITS, refuseCredentials } from '../../config.ts';
import { SettingError } from '../../errors.ts';
import { type Environment, enabledSources, withLocalSettings, workerSettings } from '../settings.ts';

/** The settings of a deployed worker. */
export interface DeploySettings {
  /** Variables, which everyone who sees the worker's configuration can read. */
  vars: Record<string, string>;
  /** Secrets, which are set one by one and never shown. */
  secrets: Record<string, string>;
  /** Warnings about the settings, one sentence each. */
  notes: string[];
}

const PRIVATE_HOST =
  /^(localhost|[^.:]+|.*\.(local|localhost|internal|lan)|127\..*|10\..*|192\.168\..*|169\.254\..*|172\.(1[6-9]|2\d|3[01])\..*|\[(::1|f[cd].*)\])$/;

/**
 * The worker's settings out of an environment and the user's own configuration of this machine, each checked. Throws
 * `SettingError` with the first wrong or missing one.
 */
export async function readDeploySettings(env: Environment): Promise<DeploySettings> {
  const found = workerSettings(await withLocalSettings(env));
  for (const [name, value] of Object.entries(found)) refuseCredentials(name, value);
  enabledSources(found);
  for (const name of ['ADMIN_TOKEN', 'READ_TOKEN']) {
    const token = found[name];
    if (token === undefined || (token.length >= LIMITS.tokenLengthMin && !/\s/.test(token))) continue;
    const expected = `a secret of at least ${LIMITS.tokenLengthMin} characters without spaces, because anyone can call the worker`;
    throw new SettingError(`${name}: expected ${expected}, got (hidden)`);
  }
  const entries = Object.entries(found);
  const vars = Object.fromEntries(entries.filter(([name]) => !isSecretSetting(name)));
  const secrets = Object.fromEntries(entries.filter(([name]) => isSecretSetting(name)));
  return { vars, secrets, notes: notesOn(vars) };
}

function notesOn(vars: Record<string, string>): string[] {
  const unreachable = Object.entries(vars)
    .filter(([, value]) => /^https?:/.test(value) && PRIVATE_HOST.test(new URL(value).hostname))
    .map(([name, value]) => `${name} is ${value}, which Cloudflare cannot reach: set it to an address that it can.`);
  const contact = vars.CONTACT
    ? []
    : ['CONTACT is not set: no upstream can tell who asks; set it to a URL or an address of yours.'];
  return [...unreachable, ...contact];
}
