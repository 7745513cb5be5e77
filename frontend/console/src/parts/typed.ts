// Parts of Element Plus whose published types leave out what they do take; use these in their place.
import { ElConfigProvider, ElForm, ElOption, type FormProps } from 'element-plus'
import type { Language } from 'element-plus/es/locale/index.mjs'
import type { DefineComponent } from 'vue'

/** A form; `@submit.prevent` is the native event. */
export const Form = ElForm as unknown as DefineComponent<Partial<FormProps> & { onSubmit?: (event: Event) => void }>

/** A choice of a select. */
export const Option = ElOption as unknown as DefineComponent<{
  value: string | number | boolean
  label?: string
  disabled?: boolean
}>

export const ConfigProvider = ElConfigProvider as unknown as DefineComponent<{
  locale?: Language
  button?: { autoInsertSpace?: boolean }
}>
