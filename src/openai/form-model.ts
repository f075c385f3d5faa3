// The model that a form (multipart/form-data) names, read as the form passes: uploads are never held. Only a part behind a
// boundary counts, whatever a file holds; two parts that name different models name none, since the upstream may take
// either.

/** Headers of a part beyond this are no form field's. */
const headersMax = 4096
const modelMax = 256
const headersEnd = Buffer.from('\r\n\r\n')
const isModel = /^content-disposition:[^\r\n]*;[ \t]*name=(?:"model"|model)[ \t]*(?:;|\r?$)/im
const isFile = /^content-disposition:[^\r\n]*;[ \t]*filename\*?=/im

export class FormModel {
  readonly #mark: Uint8Array
  #state: 'between' | 'headers' | 'value' = 'between'
  /** What came last and may belong to what comes next. */
  #rest: Uint8Array = Buffer.from('\r\n')
  #model: string | null = null
  #isInDoubt = false

  private constructor(boundary: string) {
    this.#mark = Buffer.from(`\r\n--${boundary}`, 'latin1')
  }

  /** Null where this is no form. */
  static of(contentType: string | null): FormModel | null {
    if (contentType === null || !/^multipart\/form-data\b/i.test(contentType)) return null
    const found = /;\s*boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))/i.exec(contentType)
    return found === null ? null : new FormModel(found[1] ?? found[2]!)
  }

  /** The model named so far; null = none, or more than one. */
  get model(): string | null {
    return this.#isInDoubt ? null : this.#model
  }

  /** Looks at the next bytes. */
  add(bytes: Uint8Array): void {
    if (this.#state === 'between' && !this.#mayHoldMark(bytes)) return
    const data = Buffer.concat([this.#rest, bytes])
    let at = 0
    for (;;) {
      const next = this.#step(data, at)
      if (next < 0) break
      at = next
    }
  }

  /** A long file passes without being copied: few bytes at its seams are. */
  #mayHoldMark(bytes: Uint8Array): boolean {
    const keep = this.#mark.length - 1
    const seam = Buffer.concat([this.#rest, bytes.subarray(0, keep)])
    if (seam.indexOf(this.#mark) >= 0 || Buffer.prototype.indexOf.call(bytes, this.#mark) >= 0) return true
    this.#rest = Buffer.from(
      bytes.length >= keep ? bytes.subarray(bytes.length - keep) : seam.subarray(-keep),
    )
    return false
  }

  /** Goes on from a place; gives where to go on next, -1 = with the next bytes. */
  #step(data: Buffer, at: number): number {
    if (this.#state === 'headers') {
      const end = data.indexOf(headersEnd, at)
      if (end < 0) return this.#wait(data, at, headersMax)
      const headers = data.toString('latin1', at, end)
      this.#state = isModel.test(headers) && !isFile.test(headers) ? 'value' : 'between'
      // A part may be empty: then its mark begins with the end of its headers.
      return end + 2
    }
    const mark = data.indexOf(this.#mark, at)
    if (mark < 0)
      return this.#wait(data, at, this.#state === 'value' ? modelMax + this.#mark.length : Infinity)
    if (this.#state === 'value') this.#found(data.toString('utf8', Math.min(at + 2, mark), mark))
    this.#state = 'headers'
    return mark + this.#mark.length
  }

  /** More has to come. What is too long for what it should be is none. */
  #wait(data: Buffer, at: number, max: number): number {
    if (data.length - at > max) {
      if (this.#state === 'value') this.#isInDoubt = true
      this.#state = 'between'
      return at
    }
    const keep =
      this.#state === 'between' ? Math.min(data.length - at, this.#mark.length - 1) : data.length - at
    this.#rest = Buffer.from(data.subarray(data.length - keep))
    return -1
  }

  #found(model: string): void {
    if (model === '') return
    if (this.#model !== null && this.#model !== model) this.#isInDoubt = true
    this.#model = model
  }
}
