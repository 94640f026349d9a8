"""The things that detectors of fixed classes know, and what people call them in English and Chinese.

The classes are COCO's eighty (Lin 2014), in the order of their numbers; Pascal VOC's twenty are among them under
names of their own.
"""

from __future__ import annotations

import re

COCO: dict[str, str] = {
    "person": "people man men woman women guy girl boy kid child children lady human pedestrian tourist passer-by"
    " bystander baby astronaut player rider worker 人 人物 行人 路人 男人 女人 男孩 女孩 小孩 孩子 游客 宝宝",
    "bicycle": "bike cycle 自行车 单车 脚踏车",
    "car": "cars automobile suv sedan taxi cab 汽车 轿车 小汽车 出租车 车",
    "motorcycle": "motorbike scooter moped 摩托车 摩托 电动车",
    "airplane": "aeroplane plane jet aircraft 飞机 客机",
    "bus": "coach minibus 公交车 公共汽车 巴士 大巴",
    "train": "tram locomotive railcar 火车 列车 电车 高铁",
    "truck": "lorry pickup van 卡车 货车",
    "boat": "ship yacht canoe kayak sailboat ferry 船 小船 帆船 轮船",
    "traffic light": "traffic-light stoplight 红绿灯 交通灯 信号灯",
    "fire hydrant": "hydrant 消防栓",
    "stop sign": "停车标志 停车牌",
    "parking meter": "停车计时器 停车表",
    "bench": "长椅 长凳",
    "bird": "pigeon seagull gull sparrow duck swan parrot crow eagle 鸟 鸽子 海鸥 麻雀 鸭子 天鹅 鹦鹉",
    "cat": "kitten kitty tomcat 猫 小猫 猫咪",
    "dog": "puppy doggy hound 狗 小狗 狗狗 犬",
    "horse": "pony stallion mare foal 马 小马",
    "sheep": "lamb ram 羊 绵羊",
    "cow": "bull calf cattle ox 牛 奶牛 母牛",
    "elephant": "大象 象",
    "bear": "熊 狗熊",
    "zebra": "斑马",
    "giraffe": "长颈鹿",
    "backpack": "rucksack 背包 双肩包 书包",
    "umbrella": "parasol 雨伞 伞 阳伞",
    "handbag": "purse 手提包 包包 手包",
    "tie": "necktie 领带",
    "suitcase": "luggage trolley 行李箱 箱子 手提箱",
    "frisbee": "飞盘",
    "skis": "ski 滑雪板 雪橇",
    "snowboard": "单板",
    "sports ball": "ball football basketball baseball volleyball 球 足球 篮球 排球 棒球",
    "kite": "风筝",
    "baseball bat": "棒球棒 球棒",
    "baseball glove": "棒球手套",
    "skateboard": "滑板",
    "surfboard": "冲浪板",
    "tennis racket": "racket racquet 网球拍 球拍",
    "bottle": "flask 瓶子 瓶 水瓶 酒瓶",
    "wine glass": "wineglass goblet 酒杯 红酒杯 高脚杯",
    "cup": "mug teacup coffee-cup 杯子 杯 茶杯 咖啡杯 马克杯",
    "fork": "叉子 餐叉",
    "knife": "刀 刀子 餐刀",
    "spoon": "teaspoon 勺子 勺 汤匙",
    "bowl": "碗",
    "banana": "香蕉",
    "apple": "苹果",
    "sandwich": "toast 三明治",
    "orange": "tangerine mandarin 橙子 橘子 桔子",
    "broccoli": "西兰花 花椰菜",
    "carrot": "胡萝卜",
    "hot dog": "hotdog 热狗",
    "pizza": "披萨 比萨",
    "donut": "doughnut 甜甜圈",
    "cake": "cupcake 蛋糕",
    "chair": "armchair stool 椅子 凳子",
    "couch": "sofa settee 沙发",
    "potted plant": "pottedplant plant houseplant 盆栽 盆栽植物 绿植 植物",
    "bed": "床",
    "dining table": "diningtable table desk 餐桌 桌子 饭桌",
    "toilet": "马桶 厕所",
    "tv": "television tvmonitor monitor screen 电视 电视机 显示器 屏幕",
    "laptop": "notebook macbook 笔记本电脑 电脑 手提电脑",
    "mouse": "鼠标",
    "remote": "remote-control 遥控器",
    "keyboard": "键盘",
    "cell phone": "phone smartphone mobile iphone cellphone 手机 电话",
    "microwave": "微波炉",
    "oven": "stove 烤箱",
    "toaster": "烤面包机",
    "sink": "basin washbasin 水槽 洗手池 水池",
    "refrigerator": "fridge 冰箱",
    "book": "novel 书 书本",
    "clock": "钟 时钟 钟表",
    "vase": "花瓶",
    "scissors": "剪刀",
    "teddy bear": "teddy plush 泰迪熊 玩具熊 毛绒熊",
    "hair drier": "hair-dryer hairdryer 吹风机",
    "toothbrush": "牙刷",
}
PLURALS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))


def class_of(noun: str) -> str:
    """Return the class of COCO that a noun stands for, by its last words, or "".

    "my black cat" is a cat; a "cat bed" is a bed.
    """
    words = noun.lower().split()
    for start in range(len(words)):
        for form in _singulars(" ".join(words[start:])):
            if form in KNOWN:
                return KNOWN[form]
    chinese = "".join(re.findall(r"[\u3400-\u9fff]+", noun))
    return next((KNOWN[chinese[start:]] for start in range(len(chinese)) if chinese[start:] in KNOWN), "")


def _singulars(word: str) -> list[str]:
    forms = [word.removesuffix(end) + more for end, more in PLURALS if word.endswith(end)]
    return [word, *forms]


KNOWN = {form: name for name, others in COCO.items() for form in (name, *others.split())}
