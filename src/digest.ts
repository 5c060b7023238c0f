import { createHash } from 'node:crypto';

/** The 32 bytes of the SHA-256 of a text's UTF-8 or of bytes. */
export function sha256(data: string | Uint8Array): Buffer<ArrayBuffer> {
  return createHash('sha256').update(data).digest();
}

/** The same as 64 hexadecimal digits. */
export function sha256Hex(data: string | Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}
