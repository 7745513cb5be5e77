// Attributes that components pass on to the element they are made of.
export {}
declare module 'vue' {
  interface AllowedComponentProps {
    title?: string
    alt?: string
    onKeyup?: (event: KeyboardEvent) => void
  }
}
