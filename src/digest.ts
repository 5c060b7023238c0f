import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** The 32 bytes of the SHA-256 of a text's UTF-8 or of bytes. */
export function sha256(data: string | Uint8Array): Buffer<ArrayBuffer> {
  return createHash('sha256').update(data).digest();
}

/** The same as 64 hexadecimal digits. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

/** The first 128 bits of the SHA-256 in base64, 22 characters: enough to see whether one thing has changed. */
export function shortDigest(data: string | Uint8Array): string {
  return sha256(data).subarray(0, 16).toString('base64').replace(/=+$/, '');
}

/**
 * Whether a text is the HMAC-SHA256 of bytes in hexadecimal digits. The time it takes says nothing of the right one. An
 * empty secret signs nothing, because anyone knows it.
 */
export function isSigned(bytes: Uint8Array, { secret, signature }: { secret: string; signature: string }): boolean {
  if (secret === '' || !/^[\da-f]{64}$/i.test(signature)) return false;
  return timingSafeEqual(createHmac('sha256', secret).update(bytes).digest(), Buffer.from(signature, 'hex'));
}
