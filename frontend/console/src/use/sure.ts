// Asking before something that others notice.
import { ElMessageBox } from 'element-plus'

/** Whether the person wants it; `doing` is the word on the button. */
export const sure = (text: string, doing: string) =>
  ElMessageBox.confirm(text, doing, { confirmButtonText: doing, cancelButtonText: '取消', type: 'warning' }).then(
    () => true,
    () => false,
  )
