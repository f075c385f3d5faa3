// Reads a small text file with a ceiling that holds for devices and pipes too, whose size says nothing.

import { open } from 'node:fs/promises'

/** The file's text without byte order mark; or why there is none, in words that follow `cannot read …: `. */
export async function readText(
  file: string,
  bytesMax: number,
): Promise<{ text: string } | { wrong: string }> {
  try {
    await using handle = await open(file, 'r')
    if ((await handle.stat()).isDirectory()) return { wrong: 'it is a directory' }
    const bytes = new Uint8Array(bytesMax + 1)
    let length = 0
    while (length < bytes.length) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length)
      if (bytesRead === 0) break
      length += bytesRead
    }
    if (length > bytesMax) return { wrong: `it is larger than ${bytesMax / 1024} KB` }
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length)) }
  } catch (cause) {
    return { wrong: fileTrouble(cause) }
  }
}

/** Why a file could not be read or written, in words. */
export function fileTrouble(cause: unknown): string {
  if (cause instanceof TypeError) return 'it is not UTF-8 text'
  const code = (cause as { code?: unknown } | null)?.code
  if (code === 'ENOENT') return 'no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied'
  if (code === 'EISDIR') return 'it is a directory'
  if (code === 'ENOTDIR') return 'a part of the path is not a directory'
  if (code === 'EROFS') return 'the file system is read-only'
  return typeof code === 'string' ? code : 'it cannot be read'
}
