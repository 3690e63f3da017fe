/**
 * An editor, as far as the clipboard and files know it.
 *
 * @typedef {import("../labels/strings.mjs").Translate} Translate
 * @typedef {import("../model/store.mjs").Store} Store
 * @typedef {import("../view/background.mjs").Background} Background
 * @typedef {{store: Store, t: Translate, element: HTMLElement, background: Background,
 *   status: {say(words: string): void}, portray?(entity: string, file: File): void,
 *   shelf?: {add(library: import("../model/library.mjs").Library): Promise<void>}}} Target
 */
export {};
