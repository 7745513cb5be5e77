// A form of Element Plus that admits to the native event it passes on: `@submit.prevent`.
import { ElForm, type FormProps } from 'element-plus'
import type { DefineComponent } from 'vue'

export const Form = ElForm as unknown as DefineComponent<Partial<FormProps> & { onSubmit?: (event: Event) => void }>
